import { useQuery } from "@tanstack/react-query";
import DOMPurify from "dompurify";
import { useMemo } from "react";
import * as api from "../../api/queries";
import { Panel } from "../../ui/layout";
import { Loaded } from "../../ui/loaded";
import { visible } from "../../visible/text";
import { useVersion } from ".";
import "./docs.css";

/**
 * The server sends safe HTML; the dashboard cleans it again, since a package author wrote it. Images must be
 * in the package, and external links open in a new tab.
 */
function clean(html: string): string {
  const purify = DOMPurify(window);
  purify.addHook("afterSanitizeAttributes", (element) => {
    if (element instanceof HTMLImageElement) {
      const foreign = new URL(element.src, location.href).origin !== location.origin;
      if (foreign) element.removeAttribute("src");
      element.loading = "lazy";
      if (!element.hasAttribute("alt")) element.alt = "";
    }
    if (element instanceof HTMLAnchorElement && element.origin !== location.origin) {
      element.target = "_blank";
      element.rel = "noopener noreferrer";
    }
    if (element instanceof HTMLPreElement || element instanceof HTMLTableElement) element.tabIndex = 0;
  });
  return purify.sanitize(visible(html), {
    USE_PROFILES: { html: true },
    FORBID_TAGS: ["style", "form", "input", "button"],
    FORBID_ATTR: ["style"],
  });
}

export default function DocsPage() {
  const version = useVersion();
  const query = useQuery(api.docs(version.runtime, version.name));
  return <Loaded query={query}>{({ html }) => <Text html={html} />}</Loaded>;
}

function Text({ html }: { html: string }) {
  const safe = useMemo(() => clean(html), [html]);
  return (
    <Panel>
      {/* biome-ignore lint/security/noDangerouslySetInnerHtml: cleaned above */}
      <article className="docs" dangerouslySetInnerHTML={{ __html: safe }} />
    </Panel>
  );
}
