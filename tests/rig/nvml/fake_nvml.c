/* A stand-in for libnvidia-ml.so.1, written from the declarations of nvidia-ml-py.
 *
 * FAKE_NVML_CONFIG names a text file that says which GPUs there are; it is read again when
 * it has been replaced.  Each line is a word and key=value pairs, separated by tabs:
 *
 *   driver   version= cuda= init_error= init_delay_ms= missing=SYMBOL,SYMBOL
 *   gpu      index= uuid= name= total= used= reserved= utilization= temperature= power=
 *            power_limit= capability=90 mig=1 lost=1 error=NUMBER
 *   mig      gpu= index= uuid= name= total= used=
 *   process  gpu= mig=-1 pid= memory= kind=C|G
 *   link     a= b= level=NUMBER nvlink=1
 *
 * As on hardware, a lost GPU stays lost until the library has been shut down and opened.
 * FAKE_NVML_CALLS names a file that gets a line for each call.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7,
    NO_FUNCTION = 13, LOST = 15, BAD_VERSION = 25
};
enum { GPUS = 16, MIGS = 7, PROCESSES = 32 };

typedef unsigned int uint;
typedef unsigned long long ull;

typedef struct { uint pid; ull memory; char kind; } process;
typedef struct device {
    int present, index, is_mig, mig_mode, error, capability, count;
    struct device *parent;
    char uuid[96], name[96];
    ull total, used, reserved;
    uint utilization, temperature, power, power_limit;
    process processes[PROCESSES];
} device;
typedef device *handle;

typedef struct { ull total, free, used; } memory_v1;
typedef struct { uint version; ull total, reserved, free, used; } memory_v2;
typedef struct { uint gpu, memory; } rates;
typedef struct { uint pid; ull memory; uint gpu_instance, compute_instance; } process_info;
typedef struct {
    char legacy[16]; uint domain, bus, device, id, subsystem; char bus_id[32];
} pci_info;
typedef struct { uint id, scope; long long time, latency; uint type, result; ull value; } field;

static device gpus[GPUS], migs[GPUS][MIGS];
static int levels[GPUS][GPUS], nvlinks[GPUS][GPUS];
static int lost[GPUS], was_lost[GPUS];
static int gpu_count, cuda, init_error, init_delay_ms, references;
static char driver[80], missing[1024];
static struct timespec read_at;
static ino_t read_inode;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* The file */

static const char *value(char **pairs, const char *key) {
    size_t length = strlen(key);
    for (; *pairs; pairs++)
        if (!strncmp(*pairs, key, length) && (*pairs)[length] == '=') return *pairs + length + 1;
    return NULL;
}

static ull number(char **pairs, const char *key, ull fallback) {
    const char *text = value(pairs, key);
    return text ? strtoull(text, NULL, 10) : fallback;
}

static void text(char **pairs, const char *key, char *to, size_t size) {
    const char *found = value(pairs, key);
    if (found) snprintf(to, size, "%s", found);
}

static int within(int index, int limit) { return index >= 0 && index < limit; }

static void read_device(device *d, char **pairs) {
    d->present = 1;
    text(pairs, "uuid", d->uuid, sizeof d->uuid);
    text(pairs, "name", d->name, sizeof d->name);
    d->total = number(pairs, "total", 0);
    d->used = number(pairs, "used", 0);
    d->reserved = number(pairs, "reserved", 0);
    d->utilization = number(pairs, "utilization", 0);
    d->temperature = number(pairs, "temperature", 0);
    d->power = number(pairs, "power", 0);
    d->power_limit = number(pairs, "power_limit", 0);
    d->mig_mode = number(pairs, "mig", 0);
    d->error = number(pairs, "error", 0);
}

static void read_line(char *line) {
    char *pairs[32] = {0}, *rest, *word = strtok_r(line, "\t\n", &rest);
    for (int n = 0; word && n < 31 && (pairs[n] = strtok_r(NULL, "\t\n", &rest)); n++) {}
    if (!word) return;
    int g = number(pairs, "gpu", 0), i = number(pairs, "index", 0);
    if (!strcmp(word, "driver")) {
        text(pairs, "version", driver, sizeof driver);
        text(pairs, "missing", missing, sizeof missing);
        cuda = number(pairs, "cuda", 0);
        init_error = number(pairs, "init_error", 0);
        init_delay_ms = number(pairs, "init_delay_ms", 0);
    } else if (!strcmp(word, "gpu") && within(i, GPUS)) {
        device *d = &gpus[i];
        read_device(d, pairs);
        d->index = i;
        d->parent = d;
        d->capability = number(pairs, "capability", 90);
        lost[i] = number(pairs, "lost", 0);
        was_lost[i] |= lost[i];
        if (i >= gpu_count) gpu_count = i + 1;
    } else if (!strcmp(word, "mig") && within(g, GPUS) && within(i, MIGS)) {
        device *d = &migs[g][i];
        read_device(d, pairs);
        d->index = i;
        d->is_mig = 1;
        d->parent = &gpus[g];
        d->capability = gpus[g].capability;
    } else if (!strcmp(word, "process") && within(g, GPUS)) {
        const char *mig = value(pairs, "mig"), *kind = value(pairs, "kind");
        device *d = mig && within(atoi(mig), MIGS) ? &migs[g][atoi(mig)] : &gpus[g];
        if (d->count == PROCESSES) return;
        process *p = &d->processes[d->count++];
        p->pid = number(pairs, "pid", 0);
        p->memory = number(pairs, "memory", ~0ULL); /* "not available" */
        p->kind = kind ? *kind : 'C';
    } else if (!strcmp(word, "link")) {
        int a = number(pairs, "a", 0), b = number(pairs, "b", 0);
        if (!within(a, GPUS) || !within(b, GPUS)) return;
        levels[a][b] = levels[b][a] = number(pairs, "level", 50);
        nvlinks[a][b] = nvlinks[b][a] = number(pairs, "nvlink", 0);
    }
}

static void read_file(void) {
    const char *path = getenv("FAKE_NVML_CONFIG");
    struct stat now;
    if (!path || stat(path, &now)) return;
    if (now.st_ino == read_inode && now.st_mtim.tv_sec == read_at.tv_sec
        && now.st_mtim.tv_nsec == read_at.tv_nsec)
        return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    read_inode = now.st_ino;
    read_at = now.st_mtim;
    memset(gpus, 0, sizeof gpus);
    memset(migs, 0, sizeof migs);
    memset(nvlinks, 0, sizeof nvlinks);
    memset(lost, 0, sizeof lost);
    gpu_count = init_error = init_delay_ms = 0;
    missing[0] = 0;
    for (int a = 0; a < GPUS; a++)
        for (int b = 0; b < GPUS; b++) levels[a][b] = a == b ? 0 : 50;
    char line[4096];
    while (fgets(line, sizeof line, file)) read_line(line);
    fclose(file);
}

static int is_missing(const char *function) {
    char names[sizeof missing], *rest;
    strcpy(names, missing);
    for (char *n = strtok_r(names, ",", &rest); n; n = strtok_r(NULL, ",", &rest))
        if (!strcmp(n, function)) return 1;
    return 0;
}

static int enter(const char *function) {
    pthread_mutex_lock(&mutex);
    read_file();
    const char *calls = getenv("FAKE_NVML_CALLS");
    FILE *log = calls ? fopen(calls, "a") : NULL;
    if (log) {
        fprintf(log, "%s\n", function);
        fclose(log);
    }
    pthread_mutex_unlock(&mutex);
    return is_missing(function) ? NO_FUNCTION : init_error;
}

static int check(handle d) {
    if (!d || !d->present) return INVALID;
    if (was_lost[d->parent->index]) return LOST;
    return d->parent->error;
}

#define PUBLIC __attribute__((visibility("default")))
#define SYSTEM \
    int failed = enter(__func__); \
    if (!failed && references < 1) failed = UNINITIALIZED; \
    if (failed) return failed;
#define DEVICE SYSTEM if ((failed = check(d))) return failed;
#define WHOLE_GPU DEVICE if (d->is_mig) return NOT_SUPPORTED;

static int put(const char *from, char *to, uint size) {
    if (strlen(from) >= size) return TOO_SMALL;
    strcpy(to, from);
    return OK;
}

/* The library */

PUBLIC int nvmlInitWithFlags(uint flags) {
    int failed = enter(__func__);
    if (init_delay_ms) usleep(init_delay_ms * 1000);
    if (failed) return failed;
    if (references++ == 0) memcpy(was_lost, lost, sizeof lost);
    return OK;
}
PUBLIC int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
PUBLIC int nvmlShutdown(void) {
    enter(__func__);
    if (references < 1) return UNINITIALIZED;
    references--;
    return OK;
}
PUBLIC const char *nvmlErrorString(int error) {
    switch (error) {
    case 1: return "Uninitialized";
    case 2: return "Invalid Argument";
    case 3: return "Not Supported";
    case 6: return "Not Found";
    case 9: return "Driver Not Loaded";
    case 13: return "Function Not Found";
    case 15: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}
PUBLIC int nvmlSystemGetDriverVersion(char *to, uint size) { SYSTEM return put(driver, to, size); }
PUBLIC int nvmlSystemGetNVMLVersion(char *to, uint size) {
    SYSTEM
    char version[96];
    snprintf(version, sizeof version, "%d.%s", cuda / 1000, driver);
    return put(version, to, size);
}
PUBLIC int nvmlSystemGetCudaDriverVersion(int *to) { SYSTEM *to = cuda; return OK; }
PUBLIC int nvmlSystemGetCudaDriverVersion_v2(int *to) { SYSTEM *to = cuda; return OK; }

/* From an index or a name to a handle */

PUBLIC int nvmlDeviceGetCount_v2(uint *to) { SYSTEM *to = gpu_count; return OK; }
PUBLIC int nvmlDeviceGetHandleByIndex_v2(uint index, handle *to) {
    SYSTEM
    if (index >= (uint)gpu_count) return INVALID;
    if (was_lost[index]) return LOST; /* it keeps its index */
    *to = &gpus[index];
    return OK;
}
PUBLIC int nvmlDeviceGetHandleByUUID(const char *uuid, handle *to) {
    SYSTEM
    for (int g = 0; g < gpu_count; g++) {
        if (!strcmp(gpus[g].uuid, uuid)) return *to = &gpus[g], check(*to);
        for (int i = 0; i < MIGS; i++)
            if (migs[g][i].present && !strcmp(migs[g][i].uuid, uuid))
                return *to = &migs[g][i], check(*to);
    }
    return NOT_FOUND;
}

static void pci(const device *d, pci_info *to) {
    memset(to, 0, sizeof *to);
    to->bus = 16 + 8 * d->parent->index;
    to->id = 0x233010DE;
    snprintf(to->bus_id, sizeof to->bus_id, "00000000:%02X:00.0", to->bus);
    snprintf(to->legacy, sizeof to->legacy, "0000:%02X:00.0", to->bus);
}
PUBLIC int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, handle *to) {
    SYSTEM
    pci_info info;
    for (int g = 0; g < gpu_count; g++) {
        pci(&gpus[g], &info);
        if (!strcasecmp(info.bus_id, bus_id) || !strcasecmp(info.legacy, bus_id))
            return *to = &gpus[g], check(*to);
    }
    return NOT_FOUND;
}

/* One device */

PUBLIC int nvmlDeviceGetIndex(handle d, uint *to) { DEVICE *to = d->index; return OK; }
PUBLIC int nvmlDeviceGetName(handle d, char *to, uint n) { DEVICE return put(d->name, to, n); }
PUBLIC int nvmlDeviceGetUUID(handle d, char *to, uint n) { DEVICE return put(d->uuid, to, n); }
PUBLIC int nvmlDeviceGetMinorNumber(handle d, uint *to) { WHOLE_GPU *to = d->index; return OK; }
PUBLIC int nvmlDeviceGetPciInfo_v3(handle d, pci_info *to) { DEVICE pci(d, to); return OK; }
PUBLIC int nvmlDeviceGetCudaComputeCapability(handle d, int *major, int *minor) {
    DEVICE
    *major = d->capability / 10;
    *minor = d->capability % 10;
    return OK;
}
PUBLIC int nvmlDeviceGetMemoryInfo(handle d, memory_v1 *to) {
    DEVICE
    to->total = d->total;
    to->used = d->used + d->reserved; /* the old function cannot tell them apart */
    to->free = to->total - to->used;
    return OK;
}
PUBLIC int nvmlDeviceGetMemoryInfo_v2(handle d, memory_v2 *to) {
    DEVICE
    if (to->version != (sizeof *to | 2u << 24)) return BAD_VERSION;
    to->total = d->total;
    to->used = d->used;
    to->reserved = d->reserved;
    to->free = d->total - d->used - d->reserved;
    return OK;
}
PUBLIC int nvmlDeviceGetUtilizationRates(handle d, rates *to) {
    WHOLE_GPU
    if (d->mig_mode) return NOT_SUPPORTED;
    to->gpu = d->utilization;
    to->memory = d->utilization / 2;
    return OK;
}
PUBLIC int nvmlDeviceGetTemperature(handle d, int sensor, uint *to) {
    DEVICE *to = d->parent->temperature; return OK;
}
PUBLIC int nvmlDeviceGetPowerUsage(handle d, uint *to) { WHOLE_GPU *to = d->power; return OK; }
PUBLIC int nvmlDeviceGetEnforcedPowerLimit(handle d, uint *to) {
    WHOLE_GPU *to = d->power_limit; return OK;
}
PUBLIC int nvmlDeviceGetPowerManagementLimit(handle d, uint *to) {
    WHOLE_GPU *to = d->power_limit; return OK;
}

/* Its processes; a GPU in MIG mode has those of its parts */

static uint collect(const device *d, char kind, process_info *to) {
    uint found = 0;
    for (int i = 0; i < d->count; i++) {
        if (d->processes[i].kind != kind) continue;
        if (to) {
            uint instance = d->is_mig ? (uint)d->index + 1 : ~0u;
            to[found] = (process_info){d->processes[i].pid, d->processes[i].memory, instance,
                                       d->is_mig ? 0 : ~0u};
        }
        found++;
    }
    for (int i = 0; !d->is_mig && d->mig_mode && i < MIGS; i++)
        if (migs[d->index][i].present)
            found += collect(&migs[d->index][i], kind, to ? to + found : NULL);
    return found;
}
static int list(const device *d, char kind, uint *count, process_info *to) {
    uint found = collect(d, kind, NULL), room = *count;
    *count = found;
    if (found > room) return TOO_SMALL;
    if (to) collect(d, kind, to);
    return OK;
}
#define PROCESS_LIST(name, kind) \
    PUBLIC int name##_v3(handle d, uint *n, process_info *to) { DEVICE return list(d, kind, n, to); } \
    PUBLIC int name##_v2(handle d, uint *n, process_info *to) { DEVICE return list(d, kind, n, to); }
PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses, 'C')
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses, 'G')
PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses, 'M')

/* MIG */

PUBLIC int nvmlDeviceGetMigMode(handle d, uint *current, uint *pending) {
    WHOLE_GPU
    if (d->capability < 80) return NOT_SUPPORTED;
    *current = *pending = d->mig_mode;
    return OK;
}
PUBLIC int nvmlDeviceGetMaxMigDeviceCount(handle d, uint *to) {
    DEVICE *to = d->is_mig || d->capability < 80 ? 0 : MIGS; return OK;
}
PUBLIC int nvmlDeviceGetMigDeviceHandleByIndex(handle d, uint index, handle *to) {
    WHOLE_GPU
    if (index >= MIGS) return INVALID;
    if (!migs[d->index][index].present) return NOT_FOUND;
    *to = &migs[d->index][index];
    return OK;
}
PUBLIC int nvmlDeviceIsMigDeviceHandle(handle d, uint *to) { DEVICE *to = d->is_mig; return OK; }
PUBLIC int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle d, handle *to) {
    DEVICE
    if (!d->is_mig) return INVALID;
    *to = d->parent;
    return OK;
}
PUBLIC int nvmlDeviceGetGpuInstanceId(handle d, uint *to) {
    DEVICE
    if (!d->is_mig) return NOT_SUPPORTED;
    *to = d->index + 1;
    return OK;
}
PUBLIC int nvmlDeviceGetComputeInstanceId(handle d, uint *to) {
    DEVICE
    if (!d->is_mig) return NOT_SUPPORTED;
    *to = 0;
    return OK;
}

/* Links */

PUBLIC int nvmlDeviceGetTopologyCommonAncestor(handle d, handle other, int *to) {
    WHOLE_GPU *to = levels[d->index][other->index]; return OK;
}
PUBLIC int nvmlDeviceGetP2PStatus(handle d, handle other, int kind, int *to) {
    WHOLE_GPU
    enum { READY = 0, UNSUPPORTED = 5, NVLINK = 2 };
    int linked = nvlinks[d->index][other->index];
    *to = linked || (kind != NVLINK && levels[d->index][other->index] < 50) ? READY : UNSUPPORTED;
    return OK;
}

/* What only the programs that we are compared with ask for: a passively cooled GPU at rest */

#define NEVER(name) PUBLIC int name(handle d) { DEVICE return NOT_SUPPORTED; }
#define ALWAYS(name, number) PUBLIC int name(handle d, int *to) { DEVICE *to = number; return OK; }
#define AT_CLOCK(name) \
    PUBLIC int name(handle d, int kind, uint *to) { DEVICE *to = 1980; return OK; }
NEVER(nvmlDeviceGetFanSpeed)
NEVER(nvmlDeviceGetDriverModel)
NEVER(nvmlDeviceGetDriverModel_v2)
NEVER(nvmlDeviceGetSerial)
NEVER(nvmlDeviceGetProcessUtilization)
NEVER(nvmlDeviceGetNvLinkState)
NEVER(nvmlDeviceGetNvLinkRemotePciInfo_v2)
NEVER(nvmlDeviceGetNumaNodeId)
NEVER(nvmlDeviceGetTotalEccErrors)
NEVER(nvmlDeviceGetPcieThroughput)
ALWAYS(nvmlDeviceGetComputeMode, 0)
ALWAYS(nvmlDeviceGetPersistenceMode, 1)
ALWAYS(nvmlDeviceGetPerformanceState, 0)
ALWAYS(nvmlDeviceGetDisplayMode, 0)
ALWAYS(nvmlDeviceGetDisplayActive, 0)
AT_CLOCK(nvmlDeviceGetClockInfo)
AT_CLOCK(nvmlDeviceGetMaxClockInfo)
PUBLIC int nvmlDeviceGetEncoderUtilization(handle d, uint *to, uint *period) {
    WHOLE_GPU *to = 0; *period = 167000; return OK;
}
PUBLIC int nvmlDeviceGetDecoderUtilization(handle d, uint *to, uint *period) {
    WHOLE_GPU *to = 0; *period = 167000; return OK;
}
PUBLIC int nvmlDeviceGetBAR1MemoryInfo(handle d, memory_v1 *to) {
    DEVICE
    to->total = 128ULL << 30;
    to->used = 1 << 20;
    to->free = to->total - to->used;
    return OK;
}
PUBLIC int nvmlDeviceGetFieldValues(handle d, int count, field *fields) {
    DEVICE
    for (int i = 0; i < count; i++) fields[i].result = NOT_SUPPORTED;
    return OK;
}
