import type { PgConnection, Submittable } from './pg.ts'

type Callback = (error?: unknown, ...results: unknown[]) => void

/** The parts of pg-cursor that the bridge needs. */
interface Cursor extends Submittable {
  readonly state: string
  read(count: number, callback: Callback): void
  close(callback: Callback): void
}

/**
 * Watches a cursor until it is sent. pg-cursor does not note that it was closed before: sent after that,
 * it would keep the connection for ever, since nobody closes it again.
 */
export class UnsentCursor {
  readonly #cursor: Cursor
  readonly #read: Cursor['read']
  readonly #close: Cursor['close']
  /** Whether it was closed before it was sent. */
  isClosed = false
  #isRead = false
  /** Called when the rows have come that were asked for. */
  #onRows: (() => void) | undefined

  private constructor(cursor: Cursor) {
    this.#cursor = cursor
    this.#read = cursor.read
    this.#close = cursor.close
    replace(cursor, 'read', (count: number, callback?: Callback) =>
      answer(callback, (done) => this.#readRows(count, done)),
    )
    replace(cursor, 'close', (callback?: Callback) =>
      answer(callback, (done) => this.#closeUnsent(done)),
    )
  }

  /** Returns `undefined` for any other query, and for a cursor that was sent already. */
  static watch(query: object): UnsentCursor | undefined {
    const { state, read, close } = query as Partial<Cursor>
    const isCursor = typeof read === 'function' && typeof close === 'function'
    return isCursor && state === 'initialized' ? new UnsentCursor(query as Cursor) : undefined
  }

  /** Restores the own methods of the cursor: once it is sent, it can close itself. */
  stop(): void {
    Reflect.deleteProperty(this.#cursor, 'read')
    Reflect.deleteProperty(this.#cursor, 'close')
  }

  #readRows(count: number, done: Callback): void {
    this.#isRead = true
    this.#read.call(this.#cursor, count, (error, ...results) => {
      done(error, ...results)
      this.#onRows?.()
    })
  }

  #closeUnsent(done: Callback): void {
    const cursor = this.#cursor
    if (this.#isRead && cursor.state === 'initialized') {
      // As on an idle client, the rows come first that were asked for before.
      this.#onRows = () => this.#close.call(cursor, done)
      return
    }
    this.#close.call(cursor, done)
    if (cursor.state !== 'initialized') return
    this.isClosed = true
    // This is how a cursor learns that it has ended. It needs no connection for it.
    cursor.handleReadyForQuery(undefined as unknown as PgConnection)
  }
}

function replace(cursor: Cursor, method: 'read' | 'close', value: unknown): void {
  Object.defineProperty(cursor, method, { value, configurable: true, writable: true })
}

/** Calls back, or else returns a promise, as the methods of pg-cursor do. */
function answer(callback: Callback | undefined, run: (done: Callback) => void): unknown {
  if (callback !== undefined) return run(callback)
  return new Promise((resolve, reject) => {
    run((error, result) => {
      if (error === undefined || error === null) resolve(result)
      else reject(error)
    })
  })
}
