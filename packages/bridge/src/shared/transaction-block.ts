import type { DrizzleLike, DrizzleTransaction } from '../drizzle/types.ts'
import { InvalidArgumentError, PropagationError, Rollback } from '../errors.ts'
import type { TransactionFrame } from './frame-view.ts'
import type { ExtendedKysely, SharedTransaction } from '../kysely/types.ts'
import type { BlockOptions, Database } from '../pool/database.ts'
import type { Lease } from '../pool/lease.ts'
import { Statement } from '../pool/statement.ts'
import type { TransactionModes } from '../sql/control-command.ts'
import { beginSql } from '../sql/control-sql.ts'
import { checkModes } from '../transaction/modes.ts'

const PROPAGATIONS = [
  'nested',
  'required',
  'requires-new',
  'mandatory',
  'supports',
  'not-supported',
  'never',
] as const

/** What a block does with the transaction around it, in the meaning of Spring. */
export type Propagation = (typeof PROPAGATIONS)[number]

/** The options of `shared.transaction()` that always give a transaction. */
export interface TransactionOptions extends TransactionModes {
  /**
   * | | inside a transaction | outside |
   * |---|---|---|
   * | `nested` (default) | SAVEPOINT … RELEASE | BEGIN … COMMIT |
   * | `required` | works in it; a failure dooms it | BEGIN … COMMIT |
   * | `requires-new` | BEGIN … COMMIT on a connection of its own | BEGIN … COMMIT |
   * | `mandatory` | works in it; a failure dooms it | `PropagationError` |
   *
   * Source: https://docs.spring.io/spring-framework/reference/data-access/transaction/declarative/tx-propagation.html
   */
  readonly propagation?: 'nested' | 'required' | 'requires-new' | 'mandatory'
}

/** The options of `shared.transaction()` that may give none. */
export interface MaybeOptions {
  /**
   * | | inside a transaction | outside |
   * |---|---|---|
   * | `supports` | works in it; a failure dooms it | works without one |
   * | `not-supported` | works outside it | works without one |
   * | `never` | `PropagationError` | works without one |
   */
  readonly propagation: 'supports' | 'not-supported' | 'never'
}

/** What the callback of `shared.transaction()` gets. */
export interface TransactionContext<O extends DrizzleLike, DB, Shared> {
  /** Drizzle's handle of the transaction. */
  readonly tx: DrizzleTransaction<O>
  /** Kysely's handle of the transaction. */
  readonly trx: SharedTransaction<DB, Shared>
  readonly frame: TransactionFrame
}

/** The same where there may be no transaction: then these are the databases themselves. */
export interface MaybeContext<O extends DrizzleLike, DB, Shared> {
  readonly tx: DrizzleTransaction<O> | O
  readonly trx: SharedTransaction<DB, Shared> | ExtendedKysely<DB, Shared>
  readonly frame: TransactionFrame | undefined
}

/** Makes what the callback gets: for a lease, or for no transaction. */
export type ContextOf<C> = (lease: Lease | undefined) => C

/** Runs a block of the bridge itself. */
export async function runTransaction<T, C>(
  database: Database,
  contextOf: ContextOf<C>,
  fn: (context: C) => Promise<T> | T,
  options: TransactionOptions | MaybeOptions = {},
): Promise<T> {
  if (typeof fn !== 'function') {
    throw new InvalidArgumentError(`transaction() was given ${typeof fn}; give it a function`)
  }
  const {
    propagation = 'nested',
    isolationLevel,
    accessMode,
    deferrable,
    ...rest
  } = options as TransactionOptions
  const modes: TransactionModes = definedOf({ isolationLevel, accessMode, deferrable })
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      `there is no option ${JSON.stringify(unknown)}; the options are propagation, isolationLevel, accessMode and deferrable`,
    )
  }
  const wanted = checked(propagation)
  checkModes(modes)
  const isInside = database.ambient !== undefined
  if (wanted === 'mandatory' && !isInside) {
    throw new PropagationError('propagation "mandatory" wants a transaction, and none is open here')
  }
  if (wanted === 'never' && isInside) {
    throw new PropagationError('propagation "never" wants no transaction, and one is open here')
  }
  if (wanted === 'not-supported' || wanted === 'never' || (wanted === 'supports' && !isInside)) {
    return database.outside(async () => fn(contextOf(undefined)))
  }
  const block: BlockOptions = {
    joins: wanted !== 'nested' && wanted !== 'requires-new',
    ...(wanted === 'requires-new' && { parent: null }),
  }
  return database.block('shared', (lease) => runBlock(database, lease, contextOf, fn, modes), block)
}

async function runBlock<T, C>(
  database: Database,
  lease: Lease,
  contextOf: ContextOf<C>,
  fn: (context: C) => Promise<T> | T,
  modes: TransactionModes,
): Promise<T> {
  const send = (text: string) => database.query(new Statement('shared', text), lease)
  await send(beginSql(modes))
  try {
    const value = await database.body(lease, () => fn(contextOf(lease)))
    await send('commit')
    return value
  } catch (error) {
    await send('rollback')
    // A block that has joined owns nothing: its signal travels to the one that does.
    if (error instanceof Rollback && lease.joined === undefined) return error.value as T
    throw error
  }
}

function definedOf<T extends object>(values: { [K in keyof T]: T[K] | undefined }): Partial<T> {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(defined) as Partial<T>
}

function checked(propagation: unknown): Propagation {
  const known = PROPAGATIONS.find((name) => name === propagation)
  if (known !== undefined) return known
  throw new InvalidArgumentError(
    `propagation was ${JSON.stringify(propagation)}; give one of ${PROPAGATIONS.join(', ')}`,
  )
}
