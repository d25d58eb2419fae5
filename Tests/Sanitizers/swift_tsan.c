// Tells the thread sanitizer what Swift's runtime libraries synchronise. They are not built with it, and it sees only part of
// what they do; without this file it reports races that are none. Preloaded by scripts/sanitize, on Linux, for tests alone.
//
// 1. Synchronization.Mutex: taking a free lock and releasing one that nobody waits for are atomic operations in our own
//    code, which the sanitizer sees. A contended lock is taken and released inside libswiftSynchronization: unseen.
// 2. Continuations: the runtime announces a task's resumption, and its start on another thread as what follows it. But a task
//    that was resumed before it came to wait goes on without a start, and that branch announces nothing.
//
// Each function here wraps the runtime's own of the same name and adds the edge that really exists: everything before a
// release happens before everything after the acquire that follows it. Nothing is suppressed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

// Null in programs without the sanitizer, which inherit this library from a test.
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));
extern void *swift_task_getCurrent(void) __attribute__((weak));

static void *next(void **cache, const char *name) {
    void *function = __atomic_load_n(cache, __ATOMIC_RELAXED);
    if (function) return function;
    function = dlsym(RTLD_NEXT, name);
    if (!function) abort();
    __atomic_store_n(cache, function, __ATOMIC_RELAXED);
    return function;
}

static void acquire(void *address) {
    if (__tsan_acquire && address) __tsan_acquire(address);
}

static void release(void *address) {
    if (__tsan_release && address) __tsan_release(address);
}

// MARK: Mutex (the lock's word is at the address of its handle)

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

SWIFT void lock_slow(uint32_t thread, SELF void *handle) __asm__(LOCK);
SWIFT bool try_lock_slow(SELF void *handle) __asm__(TRY_LOCK);
SWIFT void unlock_slow(SELF void *handle) __asm__(UNLOCK);

SWIFT void lock_slow(uint32_t thread, SELF void *handle) {
    static void *cache;
    SWIFT void (*lock)(uint32_t, SELF void *) = next(&cache, LOCK);
    lock(thread, handle);
    acquire(handle);
}

SWIFT bool try_lock_slow(SELF void *handle) {
    static void *cache;
    SWIFT bool (*try_lock)(SELF void *) = next(&cache, TRY_LOCK);
    bool is_locked = try_lock(handle);
    if (is_locked) acquire(handle);
    return is_locked;
}

SWIFT void unlock_slow(SELF void *handle) {
    static void *cache;
    SWIFT void (*unlock)(SELF void *) = next(&cache, UNLOCK);
    release(handle);
    unlock(handle);
}

// MARK: Continuations (`swift_continuation_resume` has released the task)

struct continuation {
    void *parent, *resume;
    uintptr_t flags;
    uintptr_t status; // 0 pending, 1 awaited, 2 resumed
};

// Resumed before the task came here.
__attribute__((swiftasynccall)) void swift_continuation_await(struct continuation *continuation) {
    static void *cache;
    __attribute__((swiftasynccall)) void (*await)(struct continuation *) = next(&cache, "swift_continuation_await");
    if (__atomic_load_n(&continuation->status, __ATOMIC_ACQUIRE) == 2) acquire(swift_task_getCurrent());
    __attribute__((musttail)) return await(continuation);
}

// Resumed while the task was about to leave its thread, which it so enters again.
void swift_task_enterThreadLocalContext(char *state) {
    static void *cache;
    void (*enter)(char *) = next(&cache, "swift_task_enterThreadLocalContext");
    enter(state);
    acquire(swift_task_getCurrent());
}
