import { AsyncLocalStorage } from 'node:async_hooks'
import { vi } from 'vitest'
import type { App } from '../setup/app.ts'

/** A part of the texts that are watched. */
export const MARKER = 'a text that is found by this'

/** The method that an object has by its prototype, to be called on another. */
function methodOf(prototype: object, name: string): (...args: unknown[]) => unknown {
  const { value } = Object.getOwnPropertyDescriptor(prototype, name) ?? {}
  return value as (...args: unknown[]) => unknown
}

/** How often the async store of the package is read while `fn` runs. */
export async function readsOf(app: App, fn: () => unknown): Promise<number> {
  const getStore = methodOf(AsyncLocalStorage.prototype, 'getStore')
  let readers: object[] = []
  let own: object | undefined
  vi.spyOn(AsyncLocalStorage.prototype, 'getStore').mockImplementation(function read(this: object) {
    const store = getStore.call(this) as object | undefined
    // the package stores scopes there
    if (store?.constructor.name === 'ScopeNode') own = this
    readers.push(this)
    return store
  })
  try {
    await app.shared.transaction(() => Promise.resolve(app.shared.inTransaction))
    readers = []
    await fn()
  } finally {
    vi.restoreAllMocks()
  }
  return readers.filter((reader) => reader === own).length
}

/** The regular expressions by which the package looks at marked texts while `fn` runs. */
export async function matchedIn(fn: () => Promise<unknown>): Promise<string[]> {
  const exec = methodOf(RegExp.prototype, 'exec')
  const matched: string[] = []
  // test(), match() and replace() call exec if it is not the built-in
  vi.spyOn(RegExp.prototype, 'exec').mockImplementation(function run(this: RegExp, text) {
    if (text.includes(MARKER)) matched.push(`${String(this)} ${callerOf()}`)
    return exec.call(this, text) as RegExpExecArray | null
  })
  try {
    await fn()
  } finally {
    vi.restoreAllMocks()
  }
  return matched.filter((line) => line.includes('packages/bridge/src'))
}

/** The first line of the stack that is not of the spy. */
function callerOf(): string {
  const lines = (new Error('here').stack ?? '').split('\n').slice(1)
  return lines.find((line) => /\.ts:/.test(line) && !line.includes(import.meta.filename)) ?? ''
}

/** How often marked texts are searched for a `;` while `fn` runs. */
export async function searchesIn(fn: () => Promise<unknown>): Promise<number> {
  let searches = 0
  const includes = methodOf(String.prototype, 'includes')
  for (const name of ['includes', 'indexOf'] as const) {
    const search = methodOf(String.prototype, name)
    vi.spyOn(String.prototype, name).mockImplementation(function find(
      this: string,
      ...args: unknown[]
    ) {
      if (args[0] === ';' && includes.call(this, MARKER) === true) searches++
      return search.apply(this, args) as never
    })
  }
  try {
    await fn()
  } finally {
    vi.restoreAllMocks()
  }
  return searches
}
