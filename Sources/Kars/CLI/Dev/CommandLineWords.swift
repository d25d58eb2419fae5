/// Splits a command line into words: blanks separate, single and double quotes and backslashes protect, nothing is expanded.
enum CommandLineWords {
    static func split(_ line: String) throws(CommandFailure) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in line {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let finished = word { words.append(finished) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !isEscaped else { throw CommandFailure(.usage, "--command: a quote or backslash is left open") }
        if let finished = word { words.append(finished) }
        guard !words.isEmpty else { throw CommandFailure(.usage, "--command is empty") }
        return words
    }
}
