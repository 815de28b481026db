import { counter } from '../core.ts'
import { writeCommands } from './control-messages.ts'
import { type PipelineQuery, pipelineQueryClass } from './pipeline-query.ts'
import { perClass } from './per-class.ts'
import type { PgConnection, QueryClass, QueryResult } from './pg.ts'

/** A query whose rows are fetched in pages, from a portal of the server. */
export interface Portal extends PipelineQuery {
  /** What is done when it is sent next. */
  step: 'open' | 'fetch' | 'close'
  /** Whether the server has sent the last row. */
  readonly isDone: boolean
  /** The result without the rows, once the last row has come. */
  readonly answer: QueryResult | undefined
  /** Takes the rows of the last page. */
  takeRows(): unknown[]
}

type PortalClass = new (text: string, values: readonly unknown[], pageSize: number) => Portal

const portals = counter('portals')

/**
 * The class of portals. Unlike pg-cursor, it ends every page with a Sync, so other statements can
 * run between two pages. In a transaction the portal survives the Sync.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export const portalClass = perClass(extend)

function extend(Query: QueryClass): PortalClass {
  return class extends pipelineQueryClass(Query) implements Portal {
    declare portal: string
    declare rows: number
    step: Portal['step'] = 'open'
    isDone = false

    constructor(text: string, values: readonly unknown[], pageSize: number) {
      super({ text, portal: `sc_${++portals.last}`, rows: pageSize }, [...values])
    }

    get answer(): QueryResult | undefined {
      return this.isDone ? this._result : undefined
    }

    takeRows(): unknown[] {
      return this._result.rows.splice(0)
    }

    override submit(connection: PgConnection): Error | null {
      if (this.step === 'open') return super.submit(connection) ?? null
      this.completed = 0
      this.onWrite?.()
      writeCommands(connection, this.deferred)
      if (this.step === 'fetch') connection.execute({ portal: this.portal, rows: this.rows })
      else connection.close({ type: 'P', name: this.portal })
      connection.sync()
      return null
    }

    /** The page is full. pg's query would ask for the next one at once. */
    override handlePortalSuspended(): void {}

    override handleCommandComplete(message: unknown, connection: PgConnection): void {
      if (this.completed < this.deferred.length)
        return super.handleCommandComplete(message, connection)
      // pg's query would send a Sync, which was sent with the page.
      this._result.addCommandComplete(message)
      this.isDone = true
    }

    override handleEmptyQuery(): void {
      this.isDone = true
    }
  }
}
