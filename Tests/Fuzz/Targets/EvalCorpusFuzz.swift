import KarsCore

extension Fuzz {
    /// A corpus is read in one way or not at all: what was read says the same when it is written and read again, is within its bounds, and
    /// names every case once; with a member more than is known it is no corpus any longer.
    static let evalCorpusTarget = Target(name: "eval-corpus") { input in
        let bytes = Array(input)
        guard let corpus = try? EvalCorpus(parsing: bytes) else { return }
        precondition((1...EvalCorpus.maxCases).contains(corpus.cases.count), "a number of cases that is not allowed")
        precondition(Set(corpus.cases.map(\.id)).count == corpus.cases.count, "a case is there twice")
        let again = try? EvalCorpus(parsing: corpus.json.encoded())
        precondition(again == corpus, "written and read again it is another corpus")
        guard var further = corpus.json.objectValue else { preconditionFailure("a corpus is no object") }
        further["unknown"] = true
        precondition((try? EvalCorpus(parsing: JSON.object(further).encoded())) == nil, "a member nobody checks was taken")
    }
}
