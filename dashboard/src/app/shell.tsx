/** The frame around every page: location, navigation, account. */

import { useQuery } from "@tanstack/react-query";
import {
  Activity,
  Boxes,
  ChartLine,
  CircleUser,
  Layers,
  LogOut,
  Menu as MenuIcon,
  Monitor,
  Moon,
  ScrollText,
  ShieldCheck,
  Sun,
  Target,
  UserCog,
  Users,
  X,
} from "lucide-react";
import { type ReactNode, Suspense, useEffect, useState } from "react";
import * as Aria from "react-aria-components";
import { Link, NavLink, Outlet, useLocation, useMatch, useNavigate } from "react-router";
import { client, take } from "../api/client";
import * as api from "../api/queries";
import { IconButton, Menu, Segments, Select } from "../ui/controls";
import { Waiting } from "../ui/feedback";
import { useLiveEvents } from "./events";
import { useMay, useSession } from "./session";
import "./shell.css";
import { type Theme, useTheme } from "../ui/theme";

export function Shell() {
  useLiveEvents();
  const [open, setOpen] = useState(false);
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: navigation closes the drawer
  useEffect(() => setOpen(false), [pathname]);

  return (
    <>
      <a href="#content" className="skip">
        Skip to the content
      </a>
      <div className="shell">
        <div className="sidebar">
          <Navigation />
        </div>
        <header className="topbar">
          <IconButton
            label="Open the menu"
            icon={<MenuIcon aria-hidden size={18} />}
            onPress={() => setOpen(true)}
          />
          <Brand />
        </header>
        <main id="content" tabIndex={-1}>
          <Suspense fallback={<Waiting height={400} />}>
            <Outlet />
          </Suspense>
        </main>
      </div>
      <Aria.ModalOverlay isOpen={open} onOpenChange={setOpen} isDismissable className="overlay drawer">
        <Aria.Modal className="drawer-modal">
          <Aria.Dialog aria-label="Menu" className="drawer-dialog">
            <Navigation />
            <span className="drawer-close">
              <IconButton
                label="Close the menu"
                icon={<X aria-hidden size={16} />}
                onPress={() => setOpen(false)}
              />
            </span>
          </Aria.Dialog>
        </Aria.Modal>
      </Aria.ModalOverlay>
    </>
  );
}

function Brand() {
  return (
    <Link to="/" className="brand">
      <img src="/favicon.svg" alt="" width={20} height={20} />
      krt
    </Link>
  );
}

function Navigation() {
  const { server } = useSession();
  const match = useMatch("/runtimes/:runtime/*");
  const runtime = match?.params.runtime;
  const mayUsers = useMay("admin");
  return (
    <nav aria-label="Main" className="navigation">
      <Brand />
      {runtime && server.mode === "serve" && (
        <RuntimeSelect runtime={runtime} section={match.params["*"]?.split("/")[0]} />
      )}
      {runtime && <RuntimeLinks runtime={runtime} />}
      {server.mode === "serve" && (
        <ul>
          <li className="heading">Server</li>
          <Item to="/" end icon={<Boxes aria-hidden size={16} />} text="Runtimes" />
          {mayUsers && <Item to="/users" icon={<Users aria-hidden size={16} />} text="Users" />}
          {mayUsers && <Item to="/audit" icon={<ShieldCheck aria-hidden size={16} />} text="Audit log" />}
        </ul>
      )}
      <span className="grow" />
      <Person />
    </nav>
  );
}

function RuntimeSelect({ runtime, section }: { runtime: string; section: string | undefined }) {
  const navigate = useNavigate();
  const { data = [] } = useQuery(api.runtimes());
  const options = data.map(({ id, name }) => ({ id, text: name }));
  const known = options.some(({ id }) => id === runtime)
    ? options
    : [...options, { id: runtime, text: runtime }];
  return (
    <div className="runtime-select">
      <Select
        label="Runtime"
        hideLabel
        quiet
        value={runtime}
        options={known}
        onChange={(id) => navigate(`/runtimes/${id}/${section || "versions"}`)}
      />
    </div>
  );
}

function RuntimeLinks({ runtime }: { runtime: string }) {
  const { server } = useSession();
  const at = (section: string) => `/runtimes/${runtime}/${section}`;
  const version = server.mode === "run" ? `versions/${runtime}` : "versions";
  return (
    <ul>
      <li className="heading">{server.mode === "serve" ? "Runtime" : runtime}</li>
      <Item
        to={at(version)}
        icon={<Layers aria-hidden size={16} />}
        text={server.mode === "serve" ? "Versions" : "Version"}
      />
      <Item to={at("logs")} icon={<ScrollText aria-hidden size={16} />} text="Logs" />
      <Item to={at("requests")} icon={<Activity aria-hidden size={16} />} text="Requests" />
      <Item to={at("measurements")} icon={<ChartLine aria-hidden size={16} />} text="Measurements" />
      <Item to={at("predictions")} icon={<Target aria-hidden size={16} />} text="Predictions" />
    </ul>
  );
}

function Item({ to, icon, text, end }: { to: string; icon: ReactNode; text: string; end?: boolean }) {
  return (
    <li>
      <NavLink to={to} end={end ?? false}>
        {icon}
        {text}
      </NavLink>
    </li>
  );
}

const THEMES: { id: Theme; text: string; icon: ReactNode }[] = [
  { id: "system", text: "System", icon: <Monitor aria-hidden size={14} /> },
  { id: "light", text: "Light", icon: <Sun aria-hidden size={14} /> },
  { id: "dark", text: "Dark", icon: <Moon aria-hidden size={14} /> },
];

function Person() {
  const { me, server } = useSession();
  const navigate = useNavigate();
  const [theme, setTheme] = useTheme();
  const signOut = async () => {
    await take(client.DELETE("/session"));
    window.location.assign("/sign-in");
  };
  return (
    <div className="person">
      <Segments label="Theme" value={theme} options={THEMES} onChange={setTheme} />
      {server.sign_in && (
        <Menu
          label="Account"
          actions={[
            {
              id: "account",
              text: "Tokens, sessions, password",
              icon: <UserCog aria-hidden size={14} />,
              onAction: () => void navigate("/account"),
            },
            {
              id: "out",
              text: "Sign out",
              icon: <LogOut aria-hidden size={14} />,
              onAction: () => void signOut(),
            },
          ]}
          trigger={
            <Aria.Button className="button quiet who">
              <CircleUser aria-hidden size={18} />
              <span className="grow">
                <span className="clip">{me.login}</span>
                <span className="role">{me.role}</span>
              </span>
            </Aria.Button>
          }
        />
      )}
      <p className="small muted about">
        krt {server.version} ·{" "}
        <a href="/licences.txt" target="_blank" rel="noreferrer">
          licences
        </a>
      </p>
    </div>
  );
}
