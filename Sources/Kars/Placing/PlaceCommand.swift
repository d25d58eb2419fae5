import ArgumentParser
import KarsCore

/// `kars place`: puts files where other containers of the pod find them. Runs in init containers of any image, which need neither a
/// shell nor `cp`.
struct PlaceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "place", abstract: "Put files where other containers of the pod find them.", shouldDisplay: false,
        subcommands: [PlaceBinaryCommand.self, PlaceFilesCommand.self])
}

/// `kars place binary DIR`: this program, as DIR/kars.
struct PlaceBinaryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "binary", abstract: "Copy this program into a directory.")

    @Argument(help: "The directory.")
    var directory: String

    func run() throws {
        var copy = FileTreeCopy()
        try copy.file(HiddenStage.executable(), to: directory + "/kars")
    }
}

/// `kars place files --from DIR… TARGET`: what is in the first DIR that exists. None: TARGET stays as it is.
struct PlaceFilesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "files", abstract: "Copy what is in the first directory that exists into another.")

    @Option(help: "Where the files are; several are tried in their order.")
    var from: [String]

    @Argument(help: "Where they go.")
    var target: String

    func run() throws {
        guard let source = from.first(where: Files.exists) else { return }
        var copy = FileTreeCopy()
        try copy.directory(source, to: target)
    }
}
