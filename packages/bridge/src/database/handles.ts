import { connectionOf } from '../connection/connection.ts'
import type { Frame } from '../transaction/frame.ts'
import { inCore } from '../core.ts'
import { objectSlot } from '../object-slot.ts'
import type { Database } from './database.ts'
import type { Lease } from './lease.ts'

/** What the bridge keeps with an object of a layer. */
export interface Binding {
  readonly database: Database
  /** Present on the handle of a transaction (`tx`, `trx`): its statements go through this lease. */
  readonly lease: Lease | undefined
}

/** What the bridge keeps with a handle. */
export interface HandleBinding extends Binding {
  readonly lease: Lease
}

const bindings = inCore('bindings', () => objectSlot<Binding>())

export function bind(object: object, binding: Binding): void {
  bindings.set(object, binding)
}

export function bindingOf(object: unknown): Binding | undefined {
  return bindings.get(object)
}

/** The binding of a handle; nothing for any other object. */
export function handleBindingOf(object: unknown): HandleBinding | undefined {
  const binding = bindings.get(object)
  return binding?.lease === undefined ? undefined : (binding as HandleBinding)
}

/** The frame that statements of a handle run in: the innermost manual savepoint in its own frame. */
export function frameOfHandle({ lease }: HandleBinding): Frame | undefined {
  const { frame } = lease
  if (frame === undefined || frame.ended) return frame
  return connectionOf(frame).stack.innermostOf(frame)
}
