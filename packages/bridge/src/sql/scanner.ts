/**
 * Walks over SQL text the way PostgreSQL's own lexer does, as far as finding commands needs it:
 * blanks, comments (nested too), quoted names, strings, dollar quotes.
 *
 * Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
export class Scanner {
  readonly #text: string
  #at = 0
  /** Where the command that is being read begins. */
  #start = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Whether nothing but blanks and comments is left. */
  get done(): boolean {
    this.#skipBlanks()
    return this.#atEnd
  }

  /** The character that comes next, blanks and comments left out. */
  get next(): string | undefined {
    this.#skipBlanks()
    return this.#text[this.#at]
  }

  /** Takes the next word in lower case, or nothing where something else stands. */
  word(): string {
    this.#skipBlanks()
    const start = this.#at
    while (isWordPart(this.#text.charCodeAt(this.#at))) this.#at++
    return fold(this.#text.slice(start, this.#at))
  }

  /** Takes a name as PostgreSQL reads it: folded to lower case, unless quoted, and not too long. */
  name(): string | undefined {
    this.#skipBlanks()
    if (this.#text[this.#at] !== '"') return this.#plainName()
    const start = this.#at
    this.#skipQuoted('"')
    return cut(this.#text.slice(start + 1, this.#at - 1).replaceAll('""', '"'))
  }

  /** A name may have digits and `$` in it, but not in front. */
  #plainName(): string | undefined {
    const start = this.#at
    if (isDigit(this.#text.charCodeAt(start))) return undefined
    while (this.#isWordOrDollar) this.#at++
    return cut(fold(this.#text.slice(start, this.#at))) || undefined
  }

  get #isWordOrDollar(): boolean {
    const isDollar = this.#text[this.#at] === '$'
    return isDollar || isWordPart(this.#text.charCodeAt(this.#at))
  }

  /** Takes one character, if it is the one given. */
  take(character: string): boolean {
    this.#skipBlanks()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  /** Goes on behind empty commands, which PostgreSQL drops. */
  skipEmptyCommands(): void {
    while (this.take(';')) this.#start = this.#at
  }

  /**
   * Goes on behind the `;` that ends the command, or to the end. One in parentheses (CREATE RULE)
   * or in the body of a function that is created (BEGIN ATOMIC … END) ends none.
   */
  skipCommand(): void {
    this.#at = this.#start
    const creates = this.word() === 'create'
    let parentheses = 0
    let bodies = 0
    let before = ''
    while (!this.#atEnd) {
      this.#skipBlanks()
      const character = this.#text[this.#at]
      if (isWordPart(this.#text.charCodeAt(this.#at))) {
        const word = this.#takeWordOrString()
        if (creates && word === 'atomic' && before === 'begin') bodies++
        else if (bodies > 0 && word === 'case' && !LABELS.has(before)) bodies++
        else if (bodies > 0 && word === 'end') bodies--
        before = word
        continue
      }
      before = character ?? ''
      if (character === "'" || character === '"') this.#skipQuoted(character)
      else if (character === '$') this.#skipDollarQuote()
      else {
        this.#at++
        if (character === '(') parentheses++
        else if (character === ')') parentheses--
        else if (character === ';' && parentheses <= 0 && bodies === 0) break
      }
    }
    this.#start = this.#at
  }

  get #atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  #skipBlanks(): void {
    for (;;) {
      if (isBlank(this.#text.charCodeAt(this.#at))) this.#at++
      else if (this.#text.startsWith('--', this.#at)) this.#at = lineEnd(this.#text, this.#at)
      else if (this.#text.startsWith('/*', this.#at)) this.#skipBlockComment()
      else return
    }
  }

  #skipBlockComment(): void {
    let depth = 0
    while (!this.#atEnd) {
      if (this.#text.startsWith('/*', this.#at)) {
        depth++
        this.#at += 2
      } else if (this.#text.startsWith('*/', this.#at)) {
        depth--
        this.#at += 2
        if (depth === 0) return
      } else this.#at++
    }
  }

  /** Takes a word, or the string that it opens: `e'it\'s'`. */
  #takeWordOrString(): string {
    const start = this.#at
    while (this.#isWordOrDollar) this.#at++
    const word = fold(this.#text.slice(start, this.#at))
    if (this.#text[this.#at] === "'") {
      if (word === 'e') this.#skipEscapeString()
      else this.#skipQuoted("'")
    }
    return word
  }

  #skipEscapeString(): void {
    this.#at++
    while (!this.#atEnd) {
      const character = this.#text[this.#at++]
      if (character === '\\') this.#at++
      else if (character === "'" && !this.#goesOn()) return
    }
  }

  /** Behind a quote: takes what makes the string go on, a second quote or one on a later line. */
  #goesOn(): boolean {
    let at = this.#at
    while (isBlank(this.#text.charCodeAt(at)) || this.#text.startsWith('--', at)) {
      at = this.#text[at] === '-' ? lineEnd(this.#text, at) : at + 1
    }
    const between = this.#text.slice(this.#at, at)
    if (this.#text[at] !== "'" || (between !== '' && !/[\n\r]/.test(between))) return false
    this.#at = at + 1
    return true
  }

  #skipQuoted(quote: string): void {
    this.#at++
    while (!this.#atEnd) {
      if (this.#text[this.#at++] !== quote) continue
      if (this.#text[this.#at] !== quote) return
      this.#at++
    }
  }

  #skipDollarQuote(): void {
    let end = this.#at + 1
    // a tag is a name without `$`; `$1` is a parameter, not a quote
    if (!isDigit(this.#text.charCodeAt(end))) {
      while (isWordPart(this.#text.charCodeAt(end))) end++
    }
    if (this.#text[end] !== '$') {
      this.#at++
      return
    }
    const tag = this.#text.slice(this.#at, end + 1)
    const close = this.#text.indexOf(tag, end + 1)
    this.#at = close === -1 ? this.#text.length : close + tag.length
  }
}

/** Folds as PostgreSQL does in UTF-8: A to Z, and nothing else. */
function fold(word: string): string {
  return isAscii(word) ? word.toLowerCase() : word.replaceAll(/[A-Z]/g, (c) => c.toLowerCase())
}

function isAscii(word: string): boolean {
  for (let at = 0; at < word.length; at++) if (word.charCodeAt(at) > 127) return false
  return true
}

const encoder = new TextEncoder()
/** The longest name: PostgreSQL forgets what is beyond, without splitting a character. */
const longest = new Uint8Array(63)

function cut(name: string): string {
  return name.slice(0, encoder.encodeInto(name, longest).read)
}

/** What makes a word a label, whatever it says. */
const LABELS: ReadonlySet<string> = new Set(['as', '.'])

/** What PostgreSQL calls white space: space, tab, line feed, and the like. */
function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13)
}

/** Where the line ends that a comment is on. */
function lineEnd(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++
  return at
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

function isWordPart(code: number): boolean {
  return (
    (code >= 97 && code <= 122) || // a-z
    (code >= 65 && code <= 90) || // A-Z
    code === 95 || // _
    isDigit(code) ||
    code >= 128
  )
}
