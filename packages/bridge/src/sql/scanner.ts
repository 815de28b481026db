/**
 * Scans SQL text as PostgreSQL's lexer does, as far as is needed to find commands: blanks, nested
 * comments, quoted names, strings and dollar quotes.
 *
 * Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
export class Scanner {
  readonly #text: string
  #at = 0
  /** The start of the current command. */
  #start = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Whether only blanks and comments are left. */
  get done(): boolean {
    this.#skipBlanks()
    return this.#atEnd
  }

  /** The next character after blanks and comments. It is not consumed. */
  get next(): string | undefined {
    this.#skipBlanks()
    return this.#text[this.#at]
  }

  /** Takes the next word in lower case. Returns an empty string if no word comes next. */
  word(): string {
    this.#skipBlanks()
    const start = this.#at
    while (isWordPart(this.#text.charCodeAt(this.#at))) this.#at++
    return fold(this.#text.slice(start, this.#at))
  }

  /** Takes a name as PostgreSQL reads it: in lower case unless it is quoted, and truncated. */
  name(): string | undefined {
    this.#skipBlanks()
    if (this.#text[this.#at] !== '"') return this.#plainName()
    const start = this.#at
    this.#skipQuoted('"')
    return cut(this.#text.slice(start + 1, this.#at - 1).replaceAll('""', '"'))
  }

  /** Takes an unquoted name, which may contain digits and `$` after its first character. */
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

  /** Takes the next character if it is `character`. */
  take(character: string): boolean {
    this.#skipBlanks()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  /** Skips empty commands, which PostgreSQL ignores. */
  skipEmptyCommands(): void {
    while (this.take(';')) this.#start = this.#at
  }

  /**
   * Skips the current command and its `;`. A `;` inside parentheses (CREATE RULE) or inside the body
   * of a function (BEGIN ATOMIC … END) does not end the command.
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

  /** Takes a word, and the string that it prefixes, if any: `e'it\'s'`. */
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

  /** After a quote: takes the quote that continues the string, doubled or on a later line. */
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
    // A tag is a name without `$`. `$1` is a parameter.
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

/** Folds to lower case as PostgreSQL does in UTF-8: the letters A to Z only. */
function fold(word: string): string {
  return isAscii(word) ? word.toLowerCase() : word.replaceAll(/[A-Z]/g, (c) => c.toLowerCase())
}

function isAscii(word: string): boolean {
  for (let at = 0; at < word.length; at++) if (word.charCodeAt(at) > 127) return false
  return true
}

const encoder = new TextEncoder()
/** PostgreSQL truncates names to 63 bytes, at a character boundary. */
const longest = new Uint8Array(63)

function cut(name: string): string {
  return name.slice(0, encoder.encodeInto(name, longest).read)
}

/** A word after one of these is a column label, even if it is a keyword. */
const LABELS: ReadonlySet<string> = new Set(['as', '.'])

/** White space, as PostgreSQL defines it: space, tab, line feed, vertical tab, form feed, carriage return. */
function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13)
}

/** Returns the position of the end of the line. */
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
