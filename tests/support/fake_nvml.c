/* A stand-in for NVIDIA's libnvidia-ml.so.1. Its answers come from the environment, so that one library serves every case:
 *
 *   FAKE_NVML_GPUS    GPUs separated by '|', each "name;capability;uuid;pci id;MiB;problem;MIG uuids separated by ','".
 *                     problem: empty, "lost" (answers no question) or "gone" (cannot even be opened).
 *   FAKE_NVML_DRIVER  driver version          FAKE_NVML_CUDA     CUDA version, 12040 is 12.4
 *   FAKE_NVML_INIT    return code of init     FAKE_NVML_SLEEP_S  seconds that init takes
 *
 * With -DOLD_DRIVER it lacks what the drivers of 2017 lacked: flags of init, CUDA version, compute capability, MIG.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, GPU_IS_LOST = 15 };
enum { MAX_GPUS = 16, MAX_PARTITIONS = 8, NAME_BYTES = 96 };

typedef struct {
    char name[NAME_BYTES], uuid[NAME_BYTES];
    int major, minor;
    unsigned pci_id;
    unsigned long long mib;
    char problem[16];
    int partition_count;
    char partitions[MAX_PARTITIONS][NAME_BYTES];
} Gpu;

typedef struct { char legacy[16]; unsigned domain, bus, device, device_id, subsystem; char id[32]; } Pci;
typedef struct { unsigned long long total, free, used; } Memory;

static Gpu gpus[MAX_GPUS];
static int gpu_count, ready;

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

static void read_gpu(char *text, Gpu *gpu) {
    char *field, *capability;
    memset(gpu, 0, sizeof *gpu);
    snprintf(gpu->name, NAME_BYTES, "%s", (field = strsep(&text, ";")) ? field : "");
    capability = text ? strsep(&text, ";") : "0.0";
    sscanf(capability, "%d.%d", &gpu->major, &gpu->minor);
    snprintf(gpu->uuid, NAME_BYTES, "%s", text ? strsep(&text, ";") : "");
    gpu->pci_id = text ? (unsigned)strtoul(strsep(&text, ";"), NULL, 16) : 0;
    gpu->mib = text ? strtoull(strsep(&text, ";"), NULL, 10) : 0;
    snprintf(gpu->problem, sizeof gpu->problem, "%s", text ? strsep(&text, ";") : "");
    while (text && *text && gpu->partition_count < MAX_PARTITIONS)
        snprintf(gpu->partitions[gpu->partition_count++], NAME_BYTES, "%s", strsep(&text, ","));
}

static int initialise(void) {
    int code = atoi(setting("FAKE_NVML_INIT", "0"));
    char *text = strdup(setting("FAKE_NVML_GPUS", "")), *next = text, *one;
    sleep((unsigned)atoi(setting("FAKE_NVML_SLEEP_S", "0")));
    for (gpu_count = 0; *text && (one = strsep(&next, "|")) && gpu_count < MAX_GPUS;)
        read_gpu(one, &gpus[gpu_count++]);
    free(text);
    ready = code == SUCCESS;
    return code;
}

static int copy(char *to, unsigned size, const char *text) {
    snprintf(to, size, "%s", text);
    return ready ? SUCCESS : UNINITIALIZED;
}

/* A handle points at a Gpu, or at the name of one of its partitions. */
static const char *partition_uuid(const void *handle) {
    for (int i = 0; i < gpu_count; i++)
        if ((const char *)handle >= gpus[i].partitions[0] && (const char *)handle < gpus[i].partitions[MAX_PARTITIONS])
            return handle;
    return NULL;
}

static int state(const Gpu *gpu) { return !ready ? UNINITIALIZED : *gpu->problem ? GPU_IS_LOST : SUCCESS; }

int nvmlInit(void) { return initialise(); }
int nvmlInit_v2(void) { return initialise(); }
int nvmlShutdown(void) { ready = 0; return SUCCESS; }

const char *nvmlErrorString(int code) {
    switch (code) {
    case 4: return "Insufficient Permissions";
    case 9: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *buffer, unsigned size) {
    return copy(buffer, size, setting("FAKE_NVML_DRIVER", "580.95.05"));
}

static int device_count(unsigned *count) { *count = (unsigned)gpu_count; return ready ? SUCCESS : UNINITIALIZED; }

static int device_by_index(unsigned index, void **handle) {
    if (!ready || index >= (unsigned)gpu_count)
        return ready ? INVALID_ARGUMENT : UNINITIALIZED;
    *handle = &gpus[index];
    return strcmp(gpus[index].problem, "gone") ? SUCCESS : GPU_IS_LOST;
}

int nvmlDeviceGetCount(unsigned *count) { return device_count(count); }
int nvmlDeviceGetHandleByIndex(unsigned index, void **handle) { return device_by_index(index, handle); }
int nvmlDeviceGetName(Gpu *gpu, char *buffer, unsigned size) { copy(buffer, size, gpu->name); return state(gpu); }

int nvmlDeviceGetUUID(const void *handle, char *buffer, unsigned size) {
    const char *part = partition_uuid(handle);
    if (part)
        return copy(buffer, size, part);
    copy(buffer, size, ((const Gpu *)handle)->uuid);
    return state(handle);
}

int nvmlDeviceGetMemoryInfo(Gpu *gpu, Memory *memory) {
    memory->total = memory->free = gpu->mib << 20;
    memory->used = 0;
    return state(gpu);
}

static int pci_info(Gpu *gpu, Pci *pci) {
    memset(pci, 0, sizeof *pci);
    pci->bus = (unsigned)(gpu - gpus) + 1;
    pci->device_id = gpu->pci_id << 16 | 0x10de;
    snprintf(pci->legacy, sizeof pci->legacy, "0000:%02X:00.0", pci->bus);
    snprintf(pci->id, sizeof pci->id, "00000000:%02X:00.0", pci->bus);
    return state(gpu);
}

int nvmlDeviceGetPciInfo(Gpu *gpu, Pci *pci) { return pci_info(gpu, pci); }

int nvmlDeviceGetCount_v2(unsigned *count) { return device_count(count); }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { return device_by_index(index, handle); }

#ifndef OLD_DRIVER
int nvmlInitWithFlags(unsigned flags) { (void)flags; return initialise(); }
int nvmlDeviceGetPciInfo_v3(Gpu *gpu, Pci *pci) { return pci_info(gpu, pci); }

int nvmlSystemGetCudaDriverVersion(int *version) {
    *version = atoi(setting("FAKE_NVML_CUDA", "13000"));
    return ready ? SUCCESS : UNINITIALIZED;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { return nvmlSystemGetCudaDriverVersion(version); }

int nvmlDeviceGetCudaComputeCapability(Gpu *gpu, int *major, int *minor) {
    *major = gpu->major;
    *minor = gpu->minor;
    return state(gpu);
}

int nvmlDeviceGetMigMode(Gpu *gpu, unsigned *current, unsigned *pending) {
    *current = *pending = gpu->partition_count > 0;
    return gpu->partition_count ? state(gpu) : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxMigDeviceCount(Gpu *gpu, unsigned *count) { *count = MAX_PARTITIONS; return state(gpu); }

int nvmlDeviceGetMigDeviceHandleByIndex(Gpu *gpu, unsigned index, void **handle) {
    if (index >= (unsigned)gpu->partition_count)
        return NOT_FOUND;
    *handle = gpu->partitions[index];
    return state(gpu);
}
#endif
