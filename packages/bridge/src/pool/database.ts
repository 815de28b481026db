import { ClientReleasedError, DisposeError, isSharedConnectionError, Rollback } from '../errors.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import type { Frame, Layer } from '../transaction/frame.ts'
import { ambientFrame, currentLink, Link, runIn } from '../transaction/scope.ts'
import type { Connection } from './connection.ts'
import { control } from './control.ts'
import { Lease, type LeaseKind } from './lease.ts'
import type { QueryResult } from './pg.ts'
import type { Settings } from './settings.ts'
import type { Source } from './source.ts'
import type { Statement } from './statement.ts'

/** Told of writes that go over the connection, so that a cache can forget what they changed. */
export type OnWrite = (tables: readonly string[] | 'all', root: Frame | undefined) => Promise<void>

/** What a block wants. */
export interface BlockOptions {
  /** The frame of the handle that it was called on; `null` for a connection of its own. */
  readonly parent?: Frame | null | undefined
  /** Options that the layer itself would not pass on. */
  readonly modes?: TransactionModes | undefined
  /** Whether it works in the frame that is open, whatever the settings say. */
  readonly joins?: boolean | undefined
}

/** One adopted database: finds out which connection and frame a statement belongs to. */
export class Database {
  readonly settings: Settings
  /** Set while a cache wants to know of writes. */
  onWrite: OnWrite | undefined
  isDisposed = false
  readonly #source: Source
  readonly #connections = new WeakMap<Frame, Connection>()

  constructor(settings: Settings, source: (database: Database) => Source) {
    this.settings = settings
    this.#source = source(this)
  }

  /** The frame that the code which calls stands in. */
  get ambient(): Frame | undefined {
    return ambientFrame(currentLink(), this)
  }

  /** How many connections are in use. */
  get inUse(): number {
    return this.#source.lent
  }

  /** The connection on which a frame is open, or was. */
  connectionOf(frame: Frame): Connection {
    const connection = this.#connections.get(frame.root)
    if (connection === undefined) throw new ClientReleasedError('the frame has no connection')
    return connection
  }

  /** Notes where a transaction was opened. */
  opened(root: Frame, connection: Connection): void {
    this.#connections.set(root, connection)
  }

  /**
   * The frame that a statement belongs to: that of its handle, else that of its scope. Where the
   * scope is inside the handle's frame, the scope: PostgreSQL would do the same.
   */
  frameOf(lease: Lease | undefined, link: Link | undefined): Frame | undefined {
    const ambient = ambientFrame(link, this)
    if (lease === undefined) return ambient
    const own = lease.frame
    return own !== undefined && ambient?.isInside(own) ? ambient : own
  }

  /** Runs a statement where it belongs. */
  query(
    statement: Statement,
    lease?: Lease,
    link: Link | undefined = currentLink(),
  ): Promise<QueryResult> {
    const frame = this.frameOf(lease, link)
    if (statement.command !== undefined) {
      const done = control(this, { statement, command: statement.command, lease, frame, link })
      if (done !== undefined) return done
    }
    if (frame !== undefined) return this.connectionOf(frame).execute(statement, frame, link)
    if (lease === undefined) return this.#once(statement, link)
    if (lease.isReleased) {
      const message = 'the client was released, and may be in the hands of others. Nothing was sent'
      return Promise.reject(new ClientReleasedError(message))
    }
    return lease.connection.execute(statement, undefined, link)
  }

  /**
   * Lends a connection: that of the transaction around, or one of its own. `parent` is the frame
   * of a handle, where one was called on; `null` asks for a connection of its own.
   */
  async lend(
    kind: LeaseKind,
    layer: Layer,
    link?: Link,
    parent: Frame | null = this.ambient ?? null,
  ): Promise<Lease> {
    if (this.isDisposed) throw new DisposeError('this shared connection was disposed of')
    const joins = this.settings.nesting === 'join'
    if (parent !== null) {
      const connection = this.connectionOf(parent)
      const refusal = connection.refusal(parent, currentLink())
      if (refusal !== undefined) throw refusal
      return new Lease(kind, layer, connection, parent, link, joins, undefined)
    }
    const loan = await this.#source.borrow(layer)
    return new Lease(kind, layer, loan.connection, undefined, link, joins, loan)
  }

  /**
   * Runs one call of a callback API: lends it a connection and makes its frame, once `begin` has
   * opened it, the ambient one.
   */
  block<T>(
    layer: Layer,
    run: (lease: Lease) => Promise<T>,
    options: BlockOptions = {},
  ): Promise<T> {
    const link = new Link(currentLink(), this, 'block')
    return runIn(link, async () => {
      const lease = await this.lend('block', layer, link, options.parent)
      lease.modes = options.modes
      if (options.joins !== undefined) lease.joins = options.joins
      try {
        return await run(lease)
      } catch (error) {
        throw unwrap(error, lease)
      } finally {
        await lease.release()
      }
    })
  }

  /** Runs `fn` as code that has left the transaction around it. */
  outside<T>(fn: () => Promise<T>): Promise<T> {
    return runIn(new Link(currentLink(), this, 'outside'), fn)
  }

  /** Runs `fn` as code that stands in a frame. */
  within<T>(frame: Frame, fn: () => Promise<T>): Promise<T> {
    return runIn(new Link(currentLink(), this, 'block', undefined, frame), fn)
  }

  /** Runs the user's part of a block: what control statements come outside it are the layer's own. */
  async body<T>(lease: Lease, fn: () => Promise<T> | T): Promise<T> {
    lease.phase = 'body'
    try {
      return await fn()
    } catch (error) {
      const frame = lease.opened ?? lease.joined
      // a rollback on request is no failure that could hide another
      if (frame !== undefined && !(error instanceof Rollback)) frame.thrown ??= { error }
      throw error
    } finally {
      lease.phase = 'closing'
    }
  }

  async #once(statement: Statement, link: Link | undefined): Promise<QueryResult> {
    const lease = await this.lend('plain', statement.layer, undefined, null)
    try {
      return await lease.connection.execute(statement, undefined, link)
    } finally {
      await lease.release()
    }
  }
}

/** What a layer has wrapped around an error of the bridge comes off: it is about the block itself. */
export function unwrap(error: unknown, lease: Lease): unknown {
  const { refusal } = lease
  if (refusal === undefined || isSharedConnectionError(error)) return error
  return (error as { cause?: unknown } | undefined)?.cause === refusal ? refusal : error
}
