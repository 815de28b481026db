/**
 * Walks over SQL text the way PostgreSQL's own lexer does, as far as finding commands needs it:
 * blanks, comments (nested too), quoted names, strings, dollar quotes.
 *
 * Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
export class Scanner {
  readonly #text: string
  #at = 0

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
    return this.#text.slice(start, this.#at).toLowerCase()
  }

  /** Takes a name as PostgreSQL reads it: folded to lower case, unless quoted. */
  name(): string | undefined {
    this.#skipBlanks()
    if (this.#text[this.#at] !== '"') return this.#plainName()
    const start = this.#at
    this.#skipQuoted('"')
    return this.#text.slice(start + 1, this.#at - 1).replaceAll('""', '"')
  }

  /** A name may have digits and `$` in it, but not in front. */
  #plainName(): string | undefined {
    const start = this.#at
    if (isDigit(this.#text.charCodeAt(start))) return undefined
    while (this.#isWordOrDollar) this.#at++
    return this.#text.slice(start, this.#at).toLowerCase() || undefined
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

  /**
   * Goes on behind the next `;` that ends a command, or to the end. One in parentheses (CREATE RULE)
   * or in the body of a function (BEGIN ATOMIC … END) ends none.
   */
  skipCommand(): void {
    let parentheses = 0
    let bodies = 0
    let before = ''
    while (!this.#atEnd) {
      this.#skipBlanks()
      const character = this.#text[this.#at]
      if (character === "'") this.#skipQuoted("'")
      else if (character === '"') this.#skipQuoted('"')
      else if (character === '$') this.#skipDollarQuote()
      else if (isWordPart(this.#text.charCodeAt(this.#at))) {
        const word = this.#takeWordOrString()
        if (word === 'atomic' && before === 'begin') bodies++
        else if (word === 'case' && bodies > 0) bodies++
        else if (word === 'end' && bodies > 0) bodies--
        before = word
      } else {
        this.#at++
        if (character === '(') parentheses++
        else if (character === ')') parentheses--
        else if (character === ';' && parentheses <= 0 && bodies === 0) return
      }
    }
  }

  get #atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  #skipBlanks(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      // space, \t, \n, \v, \f, \r: what PostgreSQL calls white space
      if (code === 32 || (code >= 9 && code <= 13)) this.#at++
      else if (this.#text.startsWith('--', this.#at)) this.#skipLineComment()
      else if (this.#text.startsWith('/*', this.#at)) this.#skipBlockComment()
      else return
    }
  }

  #skipLineComment(): void {
    while (!this.#atEnd) {
      const character = this.#text[this.#at++]
      if (character === '\n' || character === '\r') return
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
    const word = this.#text.slice(start, this.#at).toLowerCase()
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
      else if (character === "'") {
        if (this.#text[this.#at] !== "'") return
        this.#at++
      }
    }
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
