import { counter } from '../core.ts'
import type { FrameState, Outcome } from '../outcome.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import {
  type QueryEvent,
  queryChannel,
  savepointChannel,
  type TransactionEvent,
  transactionChannel,
} from './channels.ts'

const sequence = counter('sequence')

/** The facts that are known when a statement is issued. */
export interface QueryFacts {
  readonly database: string | undefined
  readonly layer: Layer
  readonly sql: string
  readonly parameters?: readonly unknown[]
  readonly statementName?: string | undefined
  readonly control?: string | undefined
  readonly piggybacked?: boolean
  readonly frame: Frame | undefined
}

/** The connection on which a statement is sent. */
export interface Carriage {
  readonly id: number
  readonly processID: number | null | undefined
}

/** Publishes the life of one statement on the query channel. */
export class QueryTrace {
  readonly #event: QueryEvent
  readonly #asked = performance.now()
  #left = this.#asked

  /** Publishes `start` in the context of the caller. Returns undefined if the channel has no subscribers. */
  static start(facts: QueryFacts): QueryTrace | undefined {
    return queryChannel.hasSubscribers ? new QueryTrace(facts) : undefined
  }

  private constructor(facts: QueryFacts) {
    const { frame } = facts
    this.#event = {
      database: facts.database,
      layer: facts.layer,
      sql: facts.sql,
      parameters: facts.parameters ?? [],
      statementName: facts.statementName,
      control: facts.control,
      piggybacked: facts.piggybacked ?? false,
      transaction: frame?.root.id,
      depth: frame?.depth ?? 0,
      savepoint: frame?.name,
      holder: frame?.root.layer,
      connection: undefined,
      processID: undefined,
      seq: undefined,
      queueWait: 0,
      duration: 0,
      rowCount: undefined,
      command: undefined,
      sqlstate: undefined,
      error: undefined,
    }
    queryChannel.start.publish(this.#event)
    queryChannel.end.publish(this.#event)
  }

  /** Records that the statement is sent on that connection. */
  left(carriage: Carriage): void {
    this.#left = performance.now()
    this.#event.seq = ++sequence.last
    this.#event.connection = carriage.id
    this.#event.processID = carriage.processID
    this.#event.queueWait = this.#left - this.#asked
  }

  /** Publishes the end of the statement when its answer has arrived. */
  follow<T extends { readonly command: string; readonly rowCount: number | null }>(
    answer: Promise<T>,
  ): Promise<T> {
    return answer.then(
      (result) => {
        this.answered(result)
        return result
      },
      (error: unknown) => {
        this.failed(error)
        throw error
      },
    )
  }

  answered(result?: { readonly command: string; readonly rowCount: number | null }): void {
    this.#event.command = result?.command
    this.#event.rowCount = result?.rowCount
    this.#close()
  }

  failed(error: unknown): void {
    this.#event.error = error
    this.#event.sqlstate = (error as { code?: string } | undefined)?.code
    this.#close()
  }

  #close(): void {
    if (this.#event.seq !== undefined) this.#event.duration = performance.now() - this.#left
    if (this.#event.error !== undefined) queryChannel.error.publish(this.#event)
    queryChannel.asyncStart.publish(this.#event)
    queryChannel.asyncEnd.publish(this.#event)
  }
}

/** Publishes the life of one transaction on the transaction channel. */
export class TransactionTrace {
  readonly #event: TransactionEvent
  readonly #started = performance.now()

  static start(
    database: string | undefined,
    frame: Frame,
    connection: number,
  ): TransactionTrace | undefined {
    return transactionChannel.hasSubscribers
      ? new TransactionTrace(database, frame, connection)
      : undefined
  }

  private constructor(database: string | undefined, frame: Frame, connection: number) {
    this.#event = {
      database,
      transaction: frame.id,
      holder: frame.layer,
      connection,
      outcome: undefined,
      duration: 0,
      error: undefined,
    }
    transactionChannel.start.publish(this.#event)
    transactionChannel.end.publish(this.#event)
  }

  ended(outcome: Outcome, error: unknown): void {
    this.#event.outcome = outcome
    this.#event.duration = performance.now() - this.#started
    if (error !== undefined) {
      this.#event.error = error
      transactionChannel.error.publish(this.#event)
    }
    transactionChannel.asyncStart.publish(this.#event)
    transactionChannel.asyncEnd.publish(this.#event)
  }
}

/** Publishes that a savepoint was opened or has ended. */
export function publishSavepoint(
  database: string | undefined,
  frame: Frame,
  state: FrameState,
): void {
  if (!savepointChannel.hasSubscribers || frame.name === undefined) return
  savepointChannel.publish({
    database,
    transaction: frame.root.id,
    name: frame.name,
    depth: frame.depth,
    layer: frame.layer,
    state,
  })
}
