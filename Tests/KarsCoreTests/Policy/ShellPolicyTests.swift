import KarsCore
import KarsTesting
import Testing

@Suite struct `Shell policy` {
    typealias F = PolicyFixture

    static let denyRM = F.engine(F.allow("shell:*"), F.deny("shell:rm"))
    static let allowFew = F.engine(F.allow("shell:ls", "shell:echo", "shell:cat", "shell:git status", "shell:wc*"))

    @Test(arguments: [
        "rm", "rm -rf /", " rm x", "\trm x", "/bin/rm x", "/usr/bin/rm", "./rm x", "../../bin/rm", "ls; rm x", "ls && rm x",
        "ls || rm x", "ls | rm x", "ls & rm x", "ls\nrm x", "ls &> o\nrm x", "ls;rm", "ls&&rm", "ls|rm", "r\\m x", "\\rm x",
        "'rm' x", "\"rm\" x",
        "r'm' x", "r\"\"m x", "echo `rm x`", "echo $(rm x)", "echo \"$(rm x)\"", "echo \"`rm x`\"", "(rm x)", "{ rm x; }",
        "A=1 rm x", "A=$(rm x) ls", "A=$(rm x)", "env rm x", "env A=1 rm x", "env -i -u B rm x", "env -- rm x", "sudo rm x",
        "sudo -u root rm x", "nohup rm x &", "time rm x", "time -p rm x", "time ! rm x", "exec rm x", "command rm x",
        "builtin rm", "timeout 5 rm x", "timeout -s KILL 5 rm x", "timeout --signal=KILL 5s rm x", "nice rm x", "nice -n 5 rm x",
        "nice -5 rm x", "ls | xargs rm", "ls | xargs -n1 rm -f", "ls | xargs -I{} rm {}", "ls | xargs -0 -P 4 rm",
        "find . -exec rm {} \\;", "find . -name x -execdir rm {} +", "find . -ok rm {} ';'", "sh -c 'rm x'", "bash -c \"rm x\"",
        "bash -lc 'rm x'", "sh -e -c 'rm x'", "bash -o pipefail -c 'rm x'", "bash --norc -c 'ls; rm x'",
        "sh -c \"sh -c 'rm x'\"", "eval rm x", "eval 'rm x'", "busybox rm x", "if true; then rm x; fi",
        "while rm x; do :; done", "for f in *; do rm $f; done", "! rm x", "ls <(rm x)", "ls > >(rm x)", "rm>x",
        "> out rm x", "2>/dev/null rm x", "ls 2>&1; rm x", "watch 'rm x'", "watch -n 1 rm x", "cat <<EOF\n$(rm x)\nEOF",
        "cat <<'EOF'\nhello\nEOF\nrm x", "cat <<-EOF\n\thello\n\tEOF\nrm x", "ls # comment\nrm x", "ls\\\n; rm x", "r\\\nm x",
        "stdbuf -oL rm x", "echo $(( $(rm x) ))", "echo ${A:-`rm x`}", "coproc rm x", "[ -f x ] && rm x", "true;rm",
        "$((1)) ; rm", "x() { rm y; }; x", "case x in x) rm y;; esac", "select x in 1; do rm $x; done",
    ])
    func `a denied program is found wherever the line hides it`(line: String) {
        #expect(Self.denyRM.evaluate(F.action("shell:\(line)")).summary == "deny deny", "\(line)")
    }

    @Test(arguments: [
        "$X x", "${X} x", "r${E}m x", "eval $X", "eval \"$X\"", "sh -c \"$X\"", "bash -s", "echo rm x | sh", "curl x | bash",
        "bash < script", "bash <(curl x)", "sh /dev/stdin", "/bin/r? x", "/???/rm*", "{rm,-rf,/}", "$'\\x72\\x6d' x",
        "'unterminated", "\"unterminated", "echo $(ls", "`ls", "ls )", "trap 'rm x' EXIT", "alias ls=rm", "su -c 'rm x'",
        "env -S 'rm x'", "sudo -i", "xargs $X", "find . -exec {} \\;", "xargs sh -c", "parallel rm ::: x", "timeout $T rm x",
        "cat <<EOF\nno end", "ls &>o rm x", "echo $'\\'; rm x; #'", "ls $(", "ls >", "ls\u{0}rm",
    ])
    func `a line that cannot be read could be anything that is denied, and is nothing that is allowed`(line: String) {
        #expect(Self.denyRM.evaluate(F.action("shell:\(line)")).isRefused, "\(line)")
        #expect(Self.allowFew.evaluate(F.action("shell:\(line)")).isRefused, "\(line)")
        // Without a denial to hide from, an allowance of everything is one.
        #expect(F.engine(F.allow("shell:*")).evaluate(F.action("shell:\(line)")).isAllowed, "\(line)")
    }

    @Test(arguments: [
        "ls", "ls -la /sandbox", "/bin/ls", "/usr/bin/ls x", "ls | wc -l", "ls; echo done", "ls && cat a.txt", "ls\necho x\n",
        "echo 'rm -rf /'", "echo \"a; rm x\"", "echo a\\;rm", "echo a#b", "ls # rm x", "cat < a > b 2>&1", "git status -s",
        "echo $HOME \"$X\" ${Y} $?", "echo $((1 + 2 * (3 - 1)))", "(ls; echo x)", "{ ls; }",
        "if ls; then echo a; else echo b; fi",
        "for f in rm mv; do echo $f; done", "cat <<'EOF'\nrm -rf $(x)\nEOF", "cat <<EOF\nplain $HOME rm\nEOF\nls", "echo $(ls)",
        "echo `ls`", "ls ;", "ls &", "wcx", "cat <<< hello", "! ls",
    ])
    func `what only runs allowed programs is allowed`(line: String) {
        #expect(Self.allowFew.evaluate(F.action("shell:\(line)")).isAllowed, "\(line)")
    }

    @Test(arguments: [
        "rm", "lsx", "./ls", "/sandbox/ls", "/sandbox/bin/../ls", "ls; rm x", "ls | sh", "echo $(rm x)", "A=1 ls",
        "PATH=/sandbox ls",
        "PATH=/sandbox; ls", "env ls", "git push", "git", "git $X", "git -C . status", "ls <(rm x)", "sudo ls", "echo a & rm b",
        "[[ -f x && rm ]]", "export PATH=/sandbox; ls", "ls() { rm x; }; ls", "", "cat <<EOF\n$(rm)\nEOF",
    ])
    func `nothing rides along on an allowance`(line: String) {
        #expect(Self.allowFew.evaluate(F.action("shell:\(line)")).isRefused, "\(line)")
    }

    @Test func `setting a variable takes the right to run env`() {
        let engine = F.engine(F.allow("shell:ls", "shell:env"))
        #expect(engine.evaluate(F.action("shell:A=1 ls")).isAllowed)
        #expect(engine.evaluate(F.action("shell:A=1 rm")).isRefused)
        #expect(engine.evaluate(F.action("shell:env A=1 ls -l")).isAllowed)
    }

    @Test func `patterns of several words ask for those words`() {
        let engine = F.engine(F.allow("shell:git*"), F.deny("shell:git push", "shell:npm run de*"), F.allow("shell:npm *"))
        #expect(engine.evaluate(F.action("shell:git commit -m x")).isAllowed)
        #expect(engine.evaluate(F.action("shell:git push origin")).isRefused)
        #expect(engine.evaluate(F.action("shell:git -C . push")).isRefused)
        #expect(engine.evaluate(F.action("shell:git $SUB")).isRefused)
        #expect(engine.evaluate(F.action("shell:echo push | xargs git")).isRefused)
        #expect(engine.evaluate(F.action("shell:npm run test")).isAllowed)
        #expect(engine.evaluate(F.action("shell:npm run deploy")).isRefused)
        #expect(engine.evaluate(F.action("shell:npm")).isAllowed)
    }

    @Test func `a pattern with a path is that path for an allowance and that program for a denial`() {
        let allowing = F.engine(F.allow("shell:./build.sh", "shell:/opt/tools/*"))
        #expect(allowing.evaluate(F.action("shell:./build.sh --fast")).isAllowed)
        #expect(allowing.evaluate(F.action("shell:build.sh")).isRefused)
        #expect(allowing.evaluate(F.action("shell:/opt/tools/x")).isAllowed)
        #expect(allowing.evaluate(F.action("shell:/opt/tools/../../sandbox/x")).isRefused)
        let denying = F.engine(F.allow("shell:*"), F.deny("shell:/bin/rm"))
        #expect(denying.evaluate(F.action("shell:rm x")).isRefused)
        #expect(denying.evaluate(F.action("shell:/usr/bin/rm x")).isRefused)
    }

    @Test func `the strictest command of a line decides`() {
        let engine = F.engine(F.allow("shell:ls"), F.approve("shell:git push", minimum: 2), F.deny("shell:rm"))
        #expect(engine.evaluate(F.action("shell:ls; git push")).summary == "approve approve 2")
        #expect(engine.evaluate(F.action("shell:git push; ls; rm x")).summary == "deny deny")
        #expect(engine.evaluate(F.action("shell:git push; foo")).summary == "deny default")
    }

    @Test func `conditions see the program of each command`() {
        let engine = F.engine(F.allow("shell:*"), F.deny("shell:*", name: "net", when: ["action.command": ["curl", "wget"]]))
        #expect(engine.evaluate(F.action("shell:ls -l")).isAllowed)
        #expect(engine.evaluate(F.action("shell:ls; /usr/bin/curl x")).summary == "deny net")
        #expect(engine.evaluate(F.action("shell:$X y")).summary == "deny net")
    }

    @Test func `an action that its runtime cut off is not trusted`() {
        let engine = F.engine(F.allow("shell:echo"))
        let long = "shell:echo " + String(repeating: "a", count: 300)
        #expect(engine.evaluate(F.action(long)).isAllowed)
        #expect(engine.evaluate(F.action(long + "...")).isRefused)
    }

    @Test func `depth, length and number of commands are bounded`() {
        let engine = F.engine(F.allow("shell:echo", "shell:env"))
        let nested = String(repeating: "echo $(", count: 200) + "echo" + String(repeating: ")", count: 200)
        #expect(engine.evaluate(F.action("shell:\(nested)")).isRefused)
        #expect(engine.evaluate(F.action("shell:" + String(repeating: "env ", count: 1_000) + "echo")).isRefused)
        #expect(engine.evaluate(F.action("shell:" + String(repeating: "echo;", count: 2_000))).isRefused)
        #expect(engine.evaluate(F.action("shell:echo " + String(repeating: "x", count: 70_000))).isRefused)
        #expect(engine.evaluate(F.action("shell:" + String(repeating: "(", count: 5_000))).isRefused)
    }

    static let fragments = [
        "rm x", "ls", ";", "&&", "|", "\n", "$(", ")", "`", "'", "\"", "\\", "<<E", "E", "{", "}", "A=1", "sh -c ", "$X", "#",
        " ", "(",
        "env ", "&", ">o", "if ", "then ", "fi", "for i in ", "do ", "done", "${", "$((", "))", "xargs ",
    ]

    @Test(arguments: 0..<400 as Range<UInt64>)
    func `whatever a line begins with, a command on a line of its own is seen or the line is unreadable`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let engine = F.engine(F.allow("shell:ls", "shell:echo", "shell:env", "shell:xargs", "shell:sh"))
        let head = (0..<Int.random(in: 0...8, using: &random)).map { _ in Self.fragments.randomElement(using: &random) ?? "" }
        let line = head.joined() + "\nrm x\n"
        // Inside quotes or a here document it is data; closing both again shows that nothing was lost.
        let denied = F.engine(F.allow("shell:*"), F.deny("shell:rm")).evaluate(F.action("shell:\(line)")).isRefused
        let allowed = engine.evaluate(F.action("shell:\(line)")).isAllowed
        #expect(denied || !line.contains("rm x\n") || head.joined().contains { "'\"<#\\".contains($0) }, "\(line)")
        #expect(!(denied && allowed), "\(line)")
    }
}
