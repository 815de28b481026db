/** A result as a word: that of the error, or undefined for a success. */
export type Word = string | undefined

/** The error of the model, which carries the word. */
export class Thrown {
  readonly word: string

  constructor(word: string) {
    this.word = word
  }
}

/** Runs a function. Returns the word for its error. */
export function attempt(what: () => void): Word {
  try {
    what()
    return undefined
  } catch (error) {
    if (error instanceof Thrown) return error.word
    throw error
  }
}

/** The word for the end of a frame in which a statement has failed. */
export function abortedBy(cause: Word): string {
  return by('TransactionAbortedError', cause)
}

/** The word for an error with a cause. */
export function by(name: string, cause: Word): string {
  return cause === undefined ? name : `${name} by ${cause}`
}
