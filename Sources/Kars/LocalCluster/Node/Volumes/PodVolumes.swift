import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The directories behind a pod's volumes on this machine. Files that may be secret lie in memory and go with the pod. Blocking.
struct PodVolumes: Sendable {
    let pod: NodePod
    /// In memory, of this pod alone.
    let memory: String
    /// On the disk, of this pod alone.
    let disk: String
    /// The node's own directory, which no pod may mount.
    let forbidden: String
    /// First of the ids outside that the pod's users have; nil for an ordinary user's pods.
    let outsideBase: Int?

    private var owner: AtomicDirectory.Owner? {
        outsideBase.map { AtomicDirectory.Owner(user: UInt32($0), group: UInt32($0 + (fsGroup ?? 0))) }
    }
    private var fsGroup: Int? { pod.spec["securityContext"]?["fsGroup"]?.intValue }

    /// Makes what is missing and brings files up to date; where each volume lies, by name.
    func place(
        payload: VolumePayload, at now: UTCTime
    ) throws -> [String: NodeContainerSetup.VolumePlace] {
        var places: [String: NodeContainerSetup.VolumePlace] = [:]
        for volume in pod.spec["volumes"]?.arrayValue ?? [] {
            guard let name = volume["name"]?.stringValue else { continue }
            do {
                places[name] = try place(volume, name, payload, now)
            } catch {
                throw ContainerConfigError("MountVolume.SetUp failed for volume \"\(name)\" : \(error)")
            }
        }
        return places
    }

    private func place(
        _ volume: JSON, _ name: String, _ payload: VolumePayload, _ now: UTCTime
    ) throws -> NodeContainerSetup.VolumePlace {
        if let source = volume["emptyDir"] {
            let path = source["medium"]?.stringValue == "Memory" ? "\(memory)/empty/\(name)" : "\(disk)/\(name)"
            if !Files.exists(path) {
                try Files.createDirectories(path, mode: 0o755)
                if let owner { try check(lchown(path, owner.user, owner.group), "chown", path) }
                try check(chmod(path, fsGroup == nil ? 0o777 : 0o2777), "chmod", path)
            }
            return NodeContainerSetup.VolumePlace(path: path)
        }
        if let source = volume["hostPath"] { return try hostPath(source) }
        guard var files = try payload.files(of: volume) else {
            throw ContainerConfigError("its kind of volume is not on this node")
        }
        if fsGroup != nil { files = files.mapValues { AtomicDirectory.File(bytes: $0.bytes, mode: $0.mode | 0o440) } }
        let path = "\(memory)/files/\(name)"
        try Files.createDirectories("\(memory)/files", mode: 0o755)
        try AtomicDirectory(path: path, owner: owner).write(files, at: now)
        return NodeContainerSetup.VolumePlace(path: path, isReadOnly: true, isOwn: true)
    }

    private func hostPath(_ source: JSON) throws -> NodeContainerSetup.VolumePlace {
        let path = source["path"]?.stringValue ?? "", type = source["type"]?.stringValue ?? ""
        guard path.hasPrefix("/"), !path.split(separator: "/").contains("..") else {
            throw ContainerConfigError("hostPath \(path): expected an absolute path without ..")
        }
        switch type {
        case "DirectoryOrCreate": try Files.createDirectories(path, mode: 0o755)
        case "FileOrCreate":
            let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
            try check(descriptor, "create", path)
            close(descriptor)
        default: break
        }
        guard let real = RealPath.of(path) else {
            throw ContainerConfigError("hostPath type check failed: \(path) does not exist")
        }
        let own = RealPath.of(forbidden)?.path ?? forbidden
        guard real.path != own, !real.path.hasPrefix(own + "/"), !own.hasPrefix(real.path == "/" ? "/" : real.path + "/") else {
            throw ContainerConfigError("hostPath \(path) holds the cluster's own state")
        }
        if type.hasPrefix("Directory"), !real.isDirectory {
            throw ContainerConfigError("hostPath type check failed: \(path) is not a directory")
        }
        if ["File", "FileOrCreate"].contains(type), real.isDirectory {
            throw ContainerConfigError("hostPath type check failed: \(path) is not a file")
        }
        return NodeContainerSetup.VolumePlace(path: real.path, isFile: !real.isDirectory)
    }

    private func check(_ result: Int32, _ operation: String, _ path: String) throws(FileError) {
        guard result >= 0 else { throw FileError(operation, path, errno: errno) }
    }

    /// What lies in memory; the rest goes with the pod's directory.
    func removeMemory() throws { try Files.remove(memory) }
}

/// Directories in memory for a node's pods: below /dev/shm, closed to everybody else.
enum NodeMemory {
    static func path(for directory: String) -> String {
        let digest = Hex.encode(SHA256.hash(Array(directory.utf8)).prefix(8))
        return "/dev/shm/kars-\(geteuid())-\(digest)"
    }

    /// The directory of the node that lives in `directory`, made or found again. Throws when somebody else has taken the name.
    static func open(for directory: String) throws -> String {
        let path = path(for: directory)
        if mkdir(path, 0o700) == 0 { return path }
        guard errno == EEXIST else { throw FileError("mkdir", path, errno: errno) }
        var status = stat()
        // In a directory that everybody writes, the name may be somebody else's trap.
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
            status.st_mode & 0o077 == 0
        else { throw FileError("use", path, errno: EPERM) }
        return path
    }
}
