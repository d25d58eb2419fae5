// Only in the fully static build (`scripts/build-static`): the Swift runtime looks for its crash reporter beside its own library at
// start, finds the way there through /proc/self/exe, and aborts when that is missing, as in an empty root. There is no library and
// no reporter beside a static executable, so the answer is known.
#if defined(KARS_STATIC)
#include <stddef.h>
char *swift_copyAuxiliaryExecutablePath(const char *name);
char *swift_copyAuxiliaryExecutablePath(const char *name) {
    (void)name;
    return NULL;
}
#endif
