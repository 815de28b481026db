/** A row of either table. */
export interface Row {
  readonly id: number
  readonly text: string
}

/** The same work for each layer, through its own API. */
export interface Layer {
  readonly name: string
  /** Returns the item with that id. */
  find(id: number): Promise<readonly Row[]>
  /** Returns all items. */
  list(): Promise<readonly Row[]>
  /** Adds a note. */
  add(text: string): Promise<unknown>
  /** Runs `fn` in a transaction, or in a savepoint if this is a transaction already. */
  transaction(fn: (inside: Layer) => Promise<unknown>): Promise<unknown>
}

/** Runs `fn` in a manual savepoint. */
export async function inSavepoint<T>(
  depth: number,
  send: (sql: string) => Promise<unknown>,
  fn: () => Promise<T>,
): Promise<T> {
  const name = `by_hand_${depth}`
  await send(`savepoint ${name}`)
  try {
    const value = await fn()
    await send(`release savepoint ${name}`)
    return value
  } catch (error) {
    await send(`rollback to savepoint ${name}`)
    throw error
  }
}
