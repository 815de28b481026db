/** Runs a request that many times, with that many at once. */
export async function concurrently(
  atOnce: number,
  times: number,
  request: () => Promise<unknown>,
): Promise<void> {
  let left = times
  const work = async (): Promise<void> => {
    while (left-- > 0) await request()
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}
