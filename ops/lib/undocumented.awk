# Prints each `package` declaration without a `///` summary; exits 1 if there is one. Run as: awk -f undocumented.awk FILE...
#
# swift-format's own rule sees `public` only. Left out are what a summary would only repeat: initialisers, stored properties,
# enum cases, and members that a protocol documents, one of ours (the first pass over the files collects their names) or one
# of those named below.

BEGIN {
    split("description debugDescription hash encode next log run now minimumResolution sleep unownedExecutor Instant Duration", names, " ")
    for (i in names) known[names[i]] = 1
    files = ARGC - 1
    for (i = 1; i <= files; i++) ARGV[files + i] = ARGV[i]
    ARGC = 2 * files + 1
}

FNR == 1 {
    file++
    documented = 0
    protocol = 0
}

# In a protocol, up to its closing bracket in column 1.
/^package protocol / { protocol = 1 }
/^\}/ { protocol = 0 }

/^[ \t]*\/\/\// { documented = 1; next }
/^[ \t]*@[A-Za-z]+(\([^)]*\))?[ \t]*$/ { next }

{
    line = $0
    sub(/^[ \t]+/, "", line)
    while (match(line, /^@[A-Za-z]+(\([^)]*\))?[ \t]+/)) line = substr(line, RLENGTH + 1)
    if (file <= files) {
        if (protocol && documented && member(line) != "") known[member(line)] = 1
    } else if (!documented && (line ~ /^package / ? needs_summary(line) : protocol && member(line) != "" && !(member(line) in known))) {
        printf "%s:%d: no /// summary: %s\n", FILENAME, FNR, line
        found = 1
    }
    documented = 0
}

END { exit found }

# The declaration without access and modifiers.
function bare(line) {
    sub(/^package /, "", line)
    while (match(line, /^(static|final|mutating|nonmutating|consuming|borrowing|indirect|nonisolated|override|private\(set\)|lazy|weak|unowned) /)) line = substr(line, RLENGTH + 1)
    return line
}

# The name of a function, property or type alias; empty for anything else.
function member(line) {
    line = bare(line)
    if (line !~ /^(func|var|associatedtype|typealias) /) return ""
    sub(/^[a-z]+ /, "", line)
    sub(/[ :(<{=].*$/, "", line)
    return line
}

function needs_summary(line,    rest) {
    rest = bare(line)
    if (rest ~ /^(let|init|case|import|extension)[ (?<]/) return 0
    if (member(rest) in known || rest ~ /^func (==|<) /) return 0
    if (rest ~ /^var /) return rest ~ /\{[^=]*$/ || rest ~ /\{.*\}$/
    return rest ~ /^(func|struct|enum|actor|class|protocol|typealias|subscript|macro)[ (<]/
}
