import { connectionOf } from '../connection/connection.ts'
import type { Frame } from '../transaction/frame.ts'
import { objectSlot } from '../object-slot.ts'
import type { Database } from './database.ts'
import type { Lease } from './lease.ts'

/** What stands behind a handle that a layer gave to its user: `tx`, `trx`. */
export interface HandleBinding {
  readonly database: Database
  readonly lease: Lease
}

const handles = objectSlot<HandleBinding>()

/** Notes what a handle speaks through. */
export function bindHandle(handle: object, held: HandleBinding): void {
  handles.set(handle, held)
}

/** What a handle speaks through; nothing for any other object. */
export function bindingOf(handle: unknown): HandleBinding | undefined {
  return handles.get(handle)
}

/** The frame that statements of a handle run in: the innermost mark on its own frame. */
export function frameOfHandle({ database, lease }: HandleBinding): Frame | undefined {
  const { frame } = lease
  if (frame === undefined || frame.ended) return frame
  return connectionOf(frame).stack.innermostOf(frame)
}
