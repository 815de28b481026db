import { TransactionOptionError } from '../errors.ts'
import type { CallSite } from './call-site.ts'
import { describe, placeOf } from './frame-errors.ts'
import {
  ISOLATION_LEVELS,
  type IsolationLevel,
  type TransactionModes,
} from '../sql/control-command.ts'
import type { Frame } from './frame.ts'
import { inWords } from '../wording.ts'

const KNOWN: ReadonlySet<string> = new Set(['isolationLevel', 'accessMode', 'deferrable'])

/** Throws for modes that PostgreSQL does not know. This also guards the SQL text against injection. */
export function checkModes(modes: TransactionModes): void {
  if (typeof modes !== 'object') {
    throw new TransactionOptionError(
      `the options of the transaction were ${inWords(modes)}; give an object with ${[...KNOWN].join(', ')}`,
    )
  }
  for (const [key, value] of Object.entries(modes)) {
    if (value === undefined || KNOWN.has(key)) continue
    throw new TransactionOptionError(
      `a transaction has no option ${inWords(key)}; its options are ${[...KNOWN].join(', ')}`,
    )
  }
  const { isolationLevel, accessMode, deferrable } = modes
  if (isolationLevel !== undefined && !ISOLATION_LEVELS.includes(isolationLevel)) {
    throw new TransactionOptionError(
      `isolationLevel was ${inWords(isolationLevel)}; PostgreSQL knows ${ISOLATION_LEVELS.join(', ')}`,
    )
  }
  if (accessMode !== undefined && accessMode !== 'read only' && accessMode !== 'read write') {
    throw new TransactionOptionError(
      `accessMode was ${inWords(accessMode)}; PostgreSQL knows "read only" and "read write"`,
    )
  }
  if (deferrable !== undefined && typeof deferrable !== 'boolean') {
    throw new TransactionOptionError(`deferrable was ${inWords(deferrable)}; give true or false`)
  }
}

/**
 * Returns the mode that a savepoint in `parent` must set to honour these options. Throws if it cannot:
 * the first statement of a transaction fixes its isolation level, and a savepoint can restrict a
 * transaction to `read only`, but cannot lift that.
 *
 * Source: https://www.postgresql.org/docs/current/sql-set-transaction.html
 */
export function narrowing(
  modes: TransactionModes,
  parent: Frame,
  defaultLevel: IsolationLevel,
  asked?: CallSite,
): 'read only' | undefined {
  checkModes(modes)
  const { isolationLevel, accessMode, deferrable } = modes
  const outerLevel = parent.modes.isolationLevel ?? defaultLevel
  if (isolationLevel !== undefined && isolationLevel !== outerLevel) {
    throw refusal(`isolation level ${isolationLevel}`, parent, `it runs at ${outerLevel}`, asked)
  }
  if (accessMode === 'read write' && parent.modes.accessMode === 'read only') {
    throw refusal('read write', parent, 'it is read only', asked)
  }
  if (deferrable !== undefined && deferrable !== (parent.modes.deferrable ?? false)) {
    throw refusal(
      deferrable ? 'deferrable' : 'not deferrable',
      parent,
      'only a new transaction can set that',
      asked,
    )
  }
  return accessMode === 'read only' && parent.modes.accessMode !== 'read only'
    ? 'read only'
    : undefined
}

function refusal(
  wanted: string,
  parent: Frame,
  why: string,
  asked: CallSite | undefined,
): TransactionOptionError {
  return new TransactionOptionError(
    `asked for ${wanted} inside ${describe(parent)}, but ${why}. ` +
      'Ask for it where the transaction begins, or use propagation: "requires-new" for one of its own. ' +
      placeOf(parent, asked),
  )
}
