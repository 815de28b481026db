import { connectionOf } from '../connection/connection.ts'
import type { Frame } from '../transaction/frame.ts'
import { objectSlot } from '../object-slot.ts'
import type { Database } from './database.ts'
import type { Lease } from './lease.ts'

/** The lease that a handle of a layer (`tx`, `trx`) sends its statements through. */
export interface HandleBinding {
  readonly database: Database
  readonly lease: Lease
}

const bindings = objectSlot<HandleBinding>()

export function bindHandle(handle: object, binding: HandleBinding): void {
  bindings.set(handle, binding)
}

/** The binding of a handle; nothing for any other object. */
export function bindingOf(handle: unknown): HandleBinding | undefined {
  return bindings.get(handle)
}

/** The frame that statements of a handle run in: the innermost savepoint by hand in its own frame. */
export function frameOfHandle({ database, lease }: HandleBinding): Frame | undefined {
  const { frame } = lease
  if (frame === undefined || frame.ended) return frame
  return connectionOf(frame).stack.innermostOf(frame)
}
