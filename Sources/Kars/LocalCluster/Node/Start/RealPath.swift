#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where a path leads once every link in it is followed.
enum RealPath {
    static func of(_ path: String) -> (path: String, isDirectory: Bool)? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        let text = String(cString: resolved)
        var status = stat()
        guard stat(text, &status) == 0 else { return nil }
        return (text, status.st_mode & S_IFMT == S_IFDIR)
    }
}
