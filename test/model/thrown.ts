/** How something ended, in a word: an error's, or nothing for a success. */
export type Word = string | undefined

/** What a step of the model throws: the word for an error. */
export class Thrown {
  readonly word: string

  constructor(word: string) {
    this.word = word
  }
}

/** Runs something, and gives the word for what it has thrown. */
export function attempt(what: () => void): Word {
  try {
    what()
    return undefined
  } catch (error) {
    if (error instanceof Thrown) return error.word
    throw error
  }
}

/** The word for the end of a frame in which something has failed. */
export function abortedBy(cause: Word): string {
  return by('TransactionAbortedError', cause)
}

/** The word for an error with a cause. */
export function by(name: string, cause: Word): string {
  return cause === undefined ? name : `${name} by ${cause}`
}
