/** Runs a request `times` times, at most `atOnce` of them at the same time. */
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
