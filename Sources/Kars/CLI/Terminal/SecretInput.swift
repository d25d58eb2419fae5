import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Secrets come from a prompt that does not echo, from standard input or from a file; never from the command line alone.
enum SecretInput {
    static let maxBytes = 64 * 1024

    /// Asks on the terminal, or reads standard input to its end when that is no terminal. One trailing line break is dropped.
    static func read(prompt: String) throws(CommandFailure) -> Secret<String> {
        guard isatty(STDIN_FILENO) == 1 else { return try checked(readAll(), from: "standard input") }
        let line: Secret<[UInt8]>
        do throws(PassphraseError) { line = try Passphrase.ask(prompt) } catch { throw CommandFailure(.usage, "\(error)") }
        return try checked(line.reveal(), from: "the prompt")
    }

    static func read(file: String) throws(CommandFailure) -> Secret<String> {
        do {
            return try checked(Files.read(file, upTo: maxBytes), from: file)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.usage, "cannot read the secret: \(error)")
        }
    }

    private static func checked(_ bytes: [UInt8], from source: String) throws(CommandFailure) -> Secret<String> {
        guard bytes.count <= maxBytes, let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure(.usage, "\(source): expected UTF-8 text of at most \(maxBytes) bytes")
        }
        let secret = text.trimmingWhitespace()
        guard !secret.isEmpty else { throw CommandFailure(.usage, "\(source) holds no secret: expected one line of text") }
        guard !secret.contains(where: \.isNewline) else {
            throw CommandFailure(.usage, "\(source): expected one line, got several")
        }
        return Secret(secret)
    }

    private static func readAll() -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count <= maxBytes {
            let count = Glibc.read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}
