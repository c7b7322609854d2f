# Prints each `package` declaration without a `///` summary; exits 1 if there is one. Run as: awk -f undocumented.awk FILE...
#
# swift-format's own rule sees `public` only. Left out are what a summary would only repeat: initialisers, stored properties,
# enum cases, and what a protocol already documents (members of a conformance extension and the witnesses named below).

FNR == 1 { documented = 0; conformance = 0 }

# In an extension that adds a conformance, up to its closing bracket in column 1.
/^(package )?extension [^{]*: .*\{/ { conformance = 1 }
/^\}/ { conformance = 0 }

/^[ \t]*\/\/\// { documented = 1; next }
/^[ \t]*@[A-Za-z]+(\([^)]*\))?[ \t]*$/ { next }

{
    line = $0
    sub(/^[ \t]+/, "", line)
    while (match(line, /^@[A-Za-z]+(\([^)]*\))?[ \t]+/)) line = substr(line, RLENGTH + 1)
    if (line ~ /^package / && !documented && needs_summary(line)) {
        printf "%s:%d: no /// summary: %s\n", FILENAME, FNR, line
        found = 1
    }
    documented = 0
}

END { exit found }

function needs_summary(line,    rest) {
    rest = line
    sub(/^package /, "", rest)
    if (rest ~ /^(import|extension|init|let) ?/) return 0
    while (match(rest, /^(static|final|mutating|nonmutating|consuming|borrowing|indirect|nonisolated|override|private\(set\)|lazy|weak|unowned) /)) rest = substr(rest, RLENGTH + 1)
    if (rest ~ /^(let|init|case|import|extension)[ (?<]/) return 0
    if (conformance) return 0
    if (rest ~ /^(var|func) (description|debugDescription|hash|==|<|encode|log)[ :(<]/) return 0
    if (rest ~ /^var /) return rest ~ /\{[^=]*$/ || rest ~ /\{.*\}$/
    return rest ~ /^(func|struct|enum|actor|class|protocol|typealias|subscript|macro)[ (<]/
}
