import type { FrameOptions } from '../../packages/bridge/src/transaction/frame.ts'

/** A frame of a callback API. */
export const scoped: FrameOptions = { layer: 'drizzle', scoped: true, begun: true }

/** A manual savepoint. */
export function mark(name: string): FrameOptions {
  return { layer: 'kysely', scoped: false, begun: false, name }
}

/** A savepoint of a callback API. */
export function block(name: string): FrameOptions {
  return { ...scoped, name }
}
