import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Runs `body` with a fresh directory of mode 0700 and removes it afterwards, whatever happened.
package func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/tmp/kars-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw FileError("mkdtemp", "/tmp", errno: errno) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let outcome = Swift.Result { try body(path) }
    try Files.remove(path)
    return try outcome.get()
}

/// As above for asynchronous work.
package func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    var template = Array("/tmp/kars-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw FileError("mkdtemp", "/tmp", errno: errno) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    do {
        let value = try await body(path)
        try Files.remove(path)
        return value
    } catch {
        try Files.remove(path)
        throw error
    }
}
