import { StatementSkippedError } from '../errors.ts'
import { isServerError } from '../protocol/pg.ts'

/** What a group knows of an entry of the queue. */
interface GroupedEntry {
  readonly statement: { readonly text: string; readonly endsBatch: boolean } | undefined
  group: StatementGroup | undefined
}

/**
 * Statements that were issued together, but are sent one after the other, since each has to pass through
 * a `query()` that somebody has wrapped. They end as if they had left together.
 */
export class StatementGroup {
  /** It is a batch: nothing is sent behind a failure. */
  readonly #isWhole: boolean
  #failure: { readonly cause: unknown } | undefined

  constructor(entries: readonly GroupedEntry[]) {
    this.#isWhole = entries.some(({ statement }) => statement?.endsBatch)
    for (const entry of entries) entry.group = this
  }

  /** The error of an entry that is not sent, since one before it has failed. */
  skipped({ statement }: GroupedEntry): StatementSkippedError | undefined {
    if (!this.#isWhole || this.#failure === undefined) return undefined
    return new StatementSkippedError(statement?.text ?? '', this.#failure.cause)
  }

  /** The error of an entry that has failed. Behind the first failure the server takes no statement. */
  errorOf({ statement }: GroupedEntry, error: unknown): unknown {
    const isFirst = this.#failure === undefined
    if (isFirst && (this.#isWhole || isServerError(error))) this.#failure = { cause: error }
    if (isFirst || !isServerError(error) || error.code !== '25P02') return error
    return new StatementSkippedError(statement?.text ?? '', this.#failure?.cause)
  }
}
