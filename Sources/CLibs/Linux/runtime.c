// Only in the fully static build (`scripts/build-static`): what a static executable has to answer itself, or does without.
#if defined(KARS_STATIC)
#include <stddef.h>
#include <unistd.h>

// The Swift runtime looks for its crash reporter beside its own library at start, finds the way there through /proc/self/exe, and
// aborts when that is missing, as in an empty root. There is no library and no reporter beside a static executable, so the answer
// is known.
char *swift_copyAuxiliaryExecutablePath(const char *name);
char *swift_copyAuxiliaryExecutablePath(const char *name) {
    (void)name;
    return NULL;
}

// The Swift library reads the command line from /proc/self/cmdline and finds none in an empty root. The C library hands it to
// constructors, which come first.
void _swift_stdlib_overrideUnsafeArgvArgc(char **arguments, int count);
__attribute__((constructor)) static void take_command_line(int count, char **arguments) {
    _swift_stdlib_overrideUnsafeArgvArgc(arguments, count);
}

// swift-argument-parser uses FoundationEssentials twice: to print `--experimental-dump-help` as JSON, and to ask errors of the
// Foundation kind for their text. kars has no such errors. Defining the seven symbols here keeps the library, a fifth of the file,
// out of the link: members of an archive are taken only for symbols that nobody has defined. Should a later version use more, its
// symbol is not here, the library comes back and the size check of the script says so.
_Noreturn void kars_without_foundation(void);
_Noreturn void kars_without_foundation(void) {
    static const char text[] = "error: --experimental-dump-help is not part of the static kars\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(written < 0 ? 1 : 2);
}

#define WITHOUT(name, symbol) void name(void) __asm__(symbol) __attribute__((alias("kars_without_foundation")))
// JSONEncoder: its type, init(), OutputFormatting.sortedKeys and .prettyPrinted; String(data:encoding:) and String.Encoding.utf8.
WITHOUT(kars_without_encoder, "$s20FoundationEssentials11JSONEncoderCMa");
WITHOUT(kars_without_encoder_init, "$s20FoundationEssentials11JSONEncoderCACycfc");
WITHOUT(kars_without_sorted_keys, "$s20FoundationEssentials11JSONEncoderC16OutputFormattingV10sortedKeysAEvau");
WITHOUT(kars_without_pretty_printed, "$s20FoundationEssentials11JSONEncoderC16OutputFormattingV13prettyPrintedAEvau");
WITHOUT(kars_without_text_of_data, "$sSS20FoundationEssentialsE4data8encodingSSSgAA4DataVh_SSAAE8EncodingVtcfC");
WITHOUT(kars_without_utf8, "$sSS20FoundationEssentialsE8EncodingV4utf8ACvau");

// The descriptor of protocol LocalizedError, to which nothing conforms (swift/ABI/Metadata.h, TargetProtocolDescriptor): flags
// (a protocol, unique, not only for classes), parent, relative name, and no requirements.
__asm__(".section .rodata\n"
        "1: .asciz \"LocalizedError\"\n"
        ".p2align 2\n"
        ".globl \"$s20FoundationEssentials14LocalizedErrorMp\"\n"
        "\"$s20FoundationEssentials14LocalizedErrorMp\":\n"
        ".long 0x00010043, 0\n"
        "2: .long 1b - 2b\n"
        ".long 0, 0, 0\n"
        ".previous\n");
#endif
