import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Where secrets come from when they must not be in an argument: a file or the terminal.
enum Passphrase {
    private static let maxBytes = 4096

    /// The first line of the file at `path`.
    static func read(from path: String) throws(PassphraseError) -> Secret<[UInt8]> {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try Files.read(path, upTo: maxBytes)
        } catch {
            throw .file(error)
        }
        let line = bytes.prefix { $0 != 10 && $0 != 13 }
        guard !line.isEmpty else { throw .empty(path) }
        return Secret(Array(line))
    }

    /// Asks on the controlling terminal, without echo, whatever standard input and output are.
    static func ask(_ prompt: String) throws(PassphraseError) -> Secret<[UInt8]> {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else { throw .noTerminal }
        defer { close(terminal) }
        var before = termios()
        guard tcgetattr(terminal, &before) == 0 else { throw .noTerminal }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        guard tcsetattr(terminal, TCSAFLUSH, &silent) == 0 else { throw .noTerminal }
        defer { tcsetattr(terminal, TCSAFLUSH, &before) }
        say(prompt, on: terminal)
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = withUnsafeMutableBytes(of: &byte) { takeByte(terminal, $0) }
            if count < 0, errno == EINTR { continue }
            guard count == 1, byte != 10, line.count < maxBytes else { break }
            line.append(byte)
        }
        say("\n", on: terminal)
        guard !line.isEmpty else { throw .empty("what was entered") }
        return Secret(line)
    }

    private static func takeByte(_ terminal: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        #if canImport(Glibc)
        Glibc.read(terminal, buffer.baseAddress, 1)
        #else
        Darwin.read(terminal, buffer.baseAddress, 1)
        #endif
    }

    private static func say(_ text: String, on terminal: Int32) {
        let bytes = Array(text.utf8)
        _ = write(terminal, bytes, bytes.count)
    }
}

enum PassphraseError: Error, Equatable, CustomStringConvertible {
    case file(FileError)
    case empty(String)
    case noTerminal

    var description: String {
        switch self {
        case .file(let error): error.description
        case .empty(let source): "the passphrase is empty (\(source))"
        case .noTerminal: "there is no terminal to ask for a passphrase on: set KARS_PASSPHRASE_FILE"
        }
    }
}
