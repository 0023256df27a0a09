/** The entry of a built page; empty where the page is served by a development server. */
export function entryOf(page: Document): string {
  return page.querySelector('script[type="module"][src^="/assets/"]')?.getAttribute("src") ?? "";
}

/** Whether the server serves another build than the page was made of. A page that does not look like ours says nothing. */
export function isAnotherBuild(served: string, entry: string): boolean {
  return entry !== "" && served.includes('src="/assets/') && !served.includes(`src="${entry}"`);
}
