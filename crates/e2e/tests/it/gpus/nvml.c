// A stand-in for NVIDIA's management library: one GPU, and one that is divided into two parts. It answers as
// the real one does, also where that has no answer: a part (MIG) has no utilization of its own.
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, NOT_LOADED = 9 };

typedef struct device { const char *uuid; const char *name; unsigned long long total, used; int load; } device;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory;
typedef struct { unsigned gpu, memory; } utilization;

static device DEVICES[] = {
    {"GPU-11111111-aaaa", "Tester 80GB", 80000000000ull, 20000000000ull, 75},
    {"GPU-22222222-bbbb", "Tester 40GB", 40000000000ull, 0, 0},
};
static device PARTS[] = {
    {"MIG-33333333-cccc", "Tester 40GB MIG", 20000000000ull, 1000000000ull, -1},
    {"MIG-44444444-dddd", "Tester 40GB MIG", 20000000000ull, 2000000000ull, -1},
};

static int text(char *out, unsigned size, const char *in) {
    if (strlen(in) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(out, in);
    return SUCCESS;
}

int nvmlInit_v2(void) { return getenv("E2E_NVML_WITHOUT_DRIVER") ? NOT_LOADED : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) { return text(out, size, "570.00"); }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **out) {
    if (index >= 2) return INVALID_ARGUMENT;
    *out = &DEVICES[index];
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, device **out) {
    for (int index = 0; index < 2; index++) {
        if (!strcmp(uuid, DEVICES[index].uuid)) return *out = &DEVICES[index], SUCCESS;
        if (!strcmp(uuid, PARTS[index].uuid)) return *out = &PARTS[index], SUCCESS;
    }
    return NOT_FOUND;
}

int nvmlDeviceGetName(device *of, char *out, unsigned size) { return text(out, size, of->name); }
int nvmlDeviceGetUUID(device *of, char *out, unsigned size) { return text(out, size, of->uuid); }

int nvmlDeviceGetMaxMigDeviceCount(device *of, unsigned *count) {
    // The most parts that there may be, not those that there are.
    *count = of == &DEVICES[1] ? 7 : 0;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(device *of, unsigned index, device **out) {
    if (of != &DEVICES[1]) return NOT_SUPPORTED;
    if (index >= 2) return NOT_FOUND;
    *out = &PARTS[index];
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(device *of, memory *out) {
    if (out->version != (sizeof(memory) | 2u << 24)) return INVALID_ARGUMENT;
    out->total = of->total;
    out->used = of->used;
    out->free = of->total - of->used;
    out->reserved = 0;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(device *of, utilization *out) {
    if (of->load < 0) return NOT_SUPPORTED;
    out->gpu = of->load;
    out->memory = 10;
    return SUCCESS;
}
