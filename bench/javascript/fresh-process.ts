import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { OperationName } from './operations.ts'
import type { Way } from './participant.ts'

/** Without the bridge, with it, or with the bridge of another checkout. */
export type Side = 'stock' | 'bridge' | 'before'

export interface Order {
  readonly way: Way
  readonly side: Side
  /** The source of the bridge for `before`. */
  readonly against?: string
  /** The number of runs of each operation before its measurement. */
  readonly times: number
}

/** CPU time in milliseconds. */
export type Costs = { readonly [N in OperationName]: number }

/** Measures in a new process, in which V8 has seen no other code. */
export async function inFreshProcess(order: Order): Promise<Costs> {
  const child = fork(fileURLToPath(new URL('child.ts', import.meta.url)), [JSON.stringify(order)])
  const exited = once(child, 'exit')
  const measured = once(child, 'message') as Promise<[Costs]>
  const costs = await Promise.race([measured, exited.then(() => undefined)])
  await exited
  if (costs === undefined) throw new Error(`nothing was measured for ${JSON.stringify(order)}`)
  return costs[0]
}
