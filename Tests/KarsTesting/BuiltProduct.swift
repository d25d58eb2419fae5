#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Programs of this package, built beside the tests that run.
package enum BuiltProduct {
    /// The `kars` executable; a path that does not exist where the build laid it elsewhere.
    package static let kars: String = {
        var path = [CChar](repeating: 0, count: 4096)
        #if canImport(Glibc)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #else
        let own = CommandLine.arguments.first ?? ""
        #endif
        return own.prefix(upTo: own.lastIndex(of: "/") ?? own.startIndex) + "/kars"
    }()
}
