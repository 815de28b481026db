import { VERSION } from './version.ts'

/**
 * A program may evaluate the package several times: a bundler in each of its chunks, a development
 * server at each reload. A pool on `globalThis` outlives that, so all copies of one version have what
 * they keep about it in common.
 */
const CORE = Symbol.for(`shared-connection.core ${VERSION}`)

const scope = globalThis as { [CORE]?: Map<string, unknown> }

/** The state of that name, which the first copy that asks for it makes. */
export function inCore<T>(name: string, make: () => T): T {
  const core = (scope[CORE] ??= new Map())
  if (!core.has(name)) core.set(name, make())
  return core.get(name) as T
}

/** Counts in all copies. */
export interface Counter {
  last: number
}

export function counter(name: string): Counter {
  return inCore(name, () => ({ last: 0 }))
}
