import { setImmediate } from 'node:timers/promises'

/** A promise that a test resolves. */
export interface Gate {
  readonly passed: Promise<void>
  open(): void
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { passed: promise, open: () => resolve() }
}

/** Lets all pending work run that does not wait for input. */
export async function breathe(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await setImmediate()
}
