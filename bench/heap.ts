import { setImmediate as turn } from 'node:timers/promises'
import { getHeapSpaceStatistics } from 'node:v8'

/**
 * Returns the size of live objects in bytes, after a full garbage collection. Code is not counted, since it
 * grows as long as V8 compiles.
 */
export async function heapOfObjects(): Promise<number> {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
  await turn()
  // The second collection frees objects that finalizers have released.
  globalThis.gc()
  let bytes = 0
  for (const { space_name: name, space_used_size: size } of getHeapSpaceStatistics()) {
    if (!/code|trusted|read_only/.test(name)) bytes += size
  }
  return bytes
}

/** Returns the size in bytes of the objects in old space, which have survived collections of young objects. */
export function oldObjects(): number {
  let bytes = 0
  for (const { space_name: name, space_used_size: size } of getHeapSpaceStatistics()) {
    if (name === 'old_space' || name === 'large_object_space') bytes += size
  }
  return bytes
}
