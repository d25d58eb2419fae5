import ArgumentParser
import KarsCore

/// `kars seccomp-installer`: the system call profile into a node's directory of profiles, and then nothing until it is ended. A DaemonSet
/// runs it, so that a new image brings its own profile to every node.
struct SeccompInstallerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seccomp-installer", abstract: "Install the system call profile on a node (run by a DaemonSet).")

    @Option(help: "Where the kubelet looks for profiles.") var directory: String = ControllerManifests.kubeletProfiles
    @Flag(help: "End at once instead of with a signal.") var once = false

    func run() async throws {
        let path = "\(directory)/\(SystemCallProfile.localhostPath)"
        do {
            try Files.createDirectories(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]), mode: 0o755)
            try AtomicFile.write(SystemCallProfile.ociProfile.encoded(pretty: true), to: path, mode: 0o644)
        } catch {
            throw CommandFailure(.failed, "cannot install the profile: \(error)")
        }
        Log(level: .info).info("seccomp.installed", ["path": .string(path)])
        if !once { _ = await (try SignalWaiter()).next() }
    }
}
