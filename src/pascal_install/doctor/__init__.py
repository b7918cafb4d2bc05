"""What is wrong with an environment, and the plan that mends it: one module for each check."""
