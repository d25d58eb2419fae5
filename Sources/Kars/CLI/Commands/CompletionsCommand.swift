import ArgumentParser

struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions", abstract: "Print a script by which a shell completes kars commands.",
        discussion: """
            Examples:
              kars completions bash > ~/.local/share/bash-completion/completions/kars
              kars completions zsh > ~/.zfunc/_kars
              kars completions fish > ~/.config/fish/completions/kars.fish
            """)

    /// The shells that there are scripts for.
    enum Shell: String, CaseIterable, ExpressibleByArgument { case bash, zsh, fish }

    @Argument(help: "bash, zsh or fish.") var shell: Shell

    func run() {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Terminal.printLine(KarsCommand.completionScript(for: kind))
    }
}
