import { setImmediate as turn } from 'node:timers/promises'
import { getHeapSpaceStatistics } from 'node:v8'

/**
 * What objects take, in bytes, after what nobody needs has gone. Code is not counted: it grows for
 * as long as there is something to compile.
 */
export async function heapOfObjects(): Promise<number> {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
  await turn()
  // takes what finalizers have let go
  globalThis.gc()
  let bytes = 0
  for (const { space_name: name, space_used_size: size } of getHeapSpaceStatistics()) {
    if (!/code|trusted|read_only/.test(name)) bytes += size
  }
  return bytes
}

/** What the objects take, in bytes, that have outlived collections of the young ones. */
export function oldObjects(): number {
  let bytes = 0
  for (const { space_name: name, space_used_size: size } of getHeapSpaceStatistics()) {
    if (name === 'old_space' || name === 'large_object_space') bytes += size
  }
  return bytes
}
