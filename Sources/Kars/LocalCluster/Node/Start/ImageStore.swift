import KarsCore

/// What an image reference means on this node. Nothing is ever fetched:
/// - any reference whose last part is `kars` (`kars`, `ghcr.io/azure/kars:1.2`) is the running kars, on the machine's files;
/// - one whose last part is `host` is the machine's own programs, read-only, for commands that a person brings along;
/// - any other is a root file system that somebody has unpacked under `images/NAME/rootfs`, NAME being the last part without tag
///   and digest.
struct ImageStore: Sendable {
    enum Image: Equatable, Sendable {
        /// The files of the machine, with kars among them.
        case machine(String)
        /// An unpacked root file system.
        case unpacked(path: String)

        /// For `imageID`.
        var id: String {
            switch self {
            case .machine(let name): "kars://machine/\(name)"
            case .unpacked(let path): "kars://\(path)"
            }
        }
    }

    /// `images` of the node's directory.
    let directory: String

    func image(_ reference: String) -> Image? {
        let name = Self.name(of: reference)
        if name == "kars" || name == SandboxImages.host { return .machine(name) }
        guard !name.isEmpty, name != ".", name != ".." else { return nil }
        let path = "\(directory)/\(name)/rootfs"
        return Files.exists(path) ? .unpacked(path: path) : nil
    }

    /// Why there is no such image, and which there are.
    func absence(of reference: String) -> String {
        // A directory that cannot be listed offers nothing.
        let names = ((try? Files.entries(of: directory)) ?? []).filter { Files.exists("\(directory)/\($0)/rootfs") }.sorted()
        let choice = (["kars", SandboxImages.host] + names).joined(separator: ", ")
        return "image \"\(reference)\" is not on this node, which fetches none; there are: \(choice). "
            + "Unpack its files under \(directory)/\(Self.name(of: reference))/rootfs to add it"
    }

    /// The last part, without tag and digest.
    static func name(of reference: String) -> String {
        let whole = reference.prefix { $0 != "@" }
        let last = whole.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        return String(last.prefix { $0 != ":" })
    }
}
