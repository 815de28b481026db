import { closedError } from '../transaction/frame-errors.ts'
import { QueryTrace } from '../instrumentation/traces.ts'
import type { Frame } from '../transaction/frame.ts'
import { currentScope } from '../transaction/scope.ts'
import { type Connection, connectionOf } from '../connection/connection.ts'
import type { Database } from './database.ts'
import type { Lease } from './lease.ts'
import { queryClassOf, type QueryResult } from '../protocol/pg.ts'
import { type Portal, portalClass } from '../protocol/portal-query.ts'
import type { Statement } from '../wire/statement.ts'

/**
 * Reads a query page by page inside a transaction, with the methods of pg-cursor that Kysely uses.
 * Either layer can query between two pages.
 */
export class PortalCursor {
  readonly #database: Database
  readonly #statement: Statement
  readonly #lease: Lease | undefined
  #portal: Portal | undefined
  /** The frame in which the portal was opened. A rollback of the frame closes the portal. */
  #home: Frame | undefined
  /** The rollback count of that frame and those around it, at the time when the portal was opened. */
  #undone = 0

  constructor(database: Database, statement: Statement, lease: Lease | undefined) {
    this.#database = database
    this.#statement = statement
    this.#lease = lease
  }

  /** Fetches the next `count` rows, or fewer at the end. */
  async read(count: number): Promise<unknown[]> {
    const frame = this.#frame()
    const connection = connectionOf(frame)
    if (this.#portal === undefined) return this.#open(connection, frame, count)
    if (this.#portal.isDone) return []
    if (this.#home?.ended && this.#home.finalState !== 'released') {
      throw closedError(this.#home, 'the stream was opened in a frame that is gone')
    }
    if (this.#home !== undefined && rollbacksAround(this.#home) > this.#undone) {
      throw closedError(this.#home, 'a ROLLBACK TO has taken the stream back')
    }
    this.#portal.step = 'fetch'
    await this.#send(connection, frame, this.#portal)
    return this.#portal.takeRows()
  }

  /** Closes the portal if it is still open. */
  async close(): Promise<void> {
    const portal = this.#portal
    const frame = this.#frame()
    // A transaction that is aborted or has ended closes it anyway.
    if (portal === undefined || portal.isDone || frame.ended || frame.failure !== undefined) return
    portal.step = 'close'
    await this.#send(connectionOf(frame), frame, portal)
  }

  #frame(): Frame {
    return this.#database.frameOf(this.#lease, currentScope()) as Frame
  }

  async #open(connection: Connection, frame: Frame, count: number): Promise<unknown[]> {
    const { layer, text, parameters } = this.#statement
    const Class = portalClass(queryClassOf(connection.client))
    const portal = new Class(text, parameters, count)
    const trace = QueryTrace.start({
      database: connection.database,
      layer,
      sql: text,
      parameters,
      frame: connection.stack.innermostOf(frame),
    })
    try {
      await this.#send(connection, frame, portal, () => trace?.left(connection))
    } catch (error) {
      trace?.failed(error)
      throw error
    }
    this.#portal = portal
    trace?.answered(portal.answer)
    return portal.takeRows()
  }

  #send(
    connection: Connection,
    frame: Frame,
    portal: Portal,
    onSend?: () => void,
  ): Promise<QueryResult> {
    const refusal = connection.closedError(frame, currentScope())
    if (refusal !== undefined) return Promise.reject(refusal)
    return connection.turns.run(frame, () => {
      const home = connection.stack.innermostOf(frame)
      if (this.#home === undefined) {
        this.#home = home
        this.#undone = rollbacksAround(home)
      }
      return connection.dispatcher.sendQuery(portal, home, onSend)
    })
  }
}

/** The number of times that a frame, or one around it, was rolled back to while it stayed open. */
function rollbacksAround(frame: Frame): number {
  let times = 0
  let around: Frame | undefined = frame
  while (around !== undefined) {
    times += around.rollbackCount
    around = around.parent
  }
  return times
}
